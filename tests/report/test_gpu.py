"""What the report says of a GPU: the committed tables, and the same altered."""

from dataclasses import replace

import pandas as pd
import pytest

from stages.report import fits, gpu, gpu_tables
from stages.report.facts import Facts, read_gpu
from stages.report.language import Language
from stages.report.stage import DOCUMENTS, render
from tests.imports import ROOT

EN = Language("en")


@pytest.fixture
def on_gpu(facts, monkeypatch) -> Facts:
    monkeypatch.chdir(ROOT)
    return replace(facts, gpu=read_gpu())


def test_without_tables_nothing_is_said(facts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_gpu() is None
    assert (gpu.brief(facts, EN), gpu.section(facts, EN)) == ("", "")
    assert "not measured" in fits.practice(facts, EN) and "nobody measured" in gpu.seen(facts, EN)
    assert all("GPU" not in line for line in render(facts, "details", "en").splitlines() if line.startswith("## "))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_says_it(on_gpu, document):
    assert "NVIDIA H200" in render(on_gpu, *document)


def test_the_table_of_both_has_the_quotients_of_the_tables(on_gpu):
    steps, latency = on_gpu.gpu["steps"], on_gpu.gpu["latency"]
    line = next(line for line in gpu_tables.both(on_gpu, EN).splitlines() if line.startswith("| RoBERTa-large, bf16"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    of = steps[(steps["encoder"] == "RoBERTa-large") & (steps["precision"] == "bf16") & (steps["frozen_dtype"] == "same")]
    times = of.set_index("method")["step_ms"]
    assert cells[1:4] == [f"{times['full']:.1f}", *(f"{times[m] / times['full']:.2f}" for m in ("lora", "adapter"))]
    same = (latency["encoder"] == "RoBERTa-large") & (latency["precision"] == "bf16")
    passes = latency[same & (latency["batch_size"] == 32) & (latency["length"] == 128)].set_index("method")
    assert float(cells[4]) == pytest.approx(passes.loc["full", "median_ms"], abs=0.05)
    assert [float(cell) for cell in cells[5:]] == pytest.approx(
        [passes.loc[arm, "median_ms"] / passes.loc["full", "median_ms"] for arm in ("lora", "lora_merged", "adapter")], abs=0.06
    )


def test_the_report_says_in_words_what_a_step_and_a_large_pass_cost(on_gpu):
    steps, latency = on_gpu.gpu["steps"].copy(), on_gpu.gpu["latency"].copy()
    plain = (steps["encoder"] == "RoBERTa-large") & (steps["precision"] == "fp32")
    steps.loc[plain, "step_ms"] = steps.loc[plain, "method"].map({"full": 200.0, "lora": 150.0, "adapter": 130.0})
    largest = (latency["encoder"] == "RoBERTa-large") & (latency["batch_size"] == 32) & (latency["length"] == 128)
    latency.loc[largest & (latency["method"] == "lora"), "ratio_to_full"] = 1.25
    latency.loc[largest & (latency["method"] == "adapter"), "ratio_to_full"] = 1.03
    altered = with_table(with_table(on_gpu, "steps", steps), "latency", latency)
    said = gpu.brief(altered, EN)
    assert "RoBERTa-large 200.0 ms with full fine-tuning, 0.75 times as long with LoRA, 0.65 times with the adapter" in said
    assert "; RoBERTa-large at the largest size: +25 % and +3 % in fp32, +25 % and +3 % in bf16)" in said
    without = steps[~plain | (steps["method"] != "adapter")]
    assert "200.0 ms" not in gpu.brief(with_table(altered, "steps", without), EN)  # it did not fit on that GPU
    gone = latency[~largest | (latency["method"] != "adapter")]
    assert "at the largest size" not in gpu.brief(with_table(altered, "latency", gone), EN)


def test_longer_steps_are_counted(on_gpu):
    steps = on_gpu.gpu["steps"].copy()
    steps["step_ms"] = steps["method"].map({"full": 10.0, "lora": 12.0, "adapter": 9.0})
    steps.loc[(steps["encoder"] == "BERT-base") & (steps["precision"] == "fp16"), "step_ms"] = 10.0
    assert "in 11 of 12 cases (encoder, precision), the adapter's in 0." in gpu.launches(with_table(on_gpu, "steps", steps), EN)


def test_nf4_is_counted_beside_full_fine_tuning_in_the_same_precision(on_gpu):
    steps = on_gpu.gpu["steps"].copy()
    steps["step_ms"] = steps["method"].map({"full": 10.0, "lora": 12.0, "adapter": 9.0})
    steps.loc[(steps["frozen_dtype"] == "nf4") & (steps["encoder"] == "DistilBERT"), "step_ms"] = 8.0
    assert gpu.longer(steps, "nf4") == {"cases": 4, "lora": 3, "adapter": 0}
    without = with_table(on_gpu, "steps", steps[steps["frozen_dtype"] != "nf4"])
    assert "in nf4 it is 3 of 4 for LoRA, 0 for the adapter." in gpu.launches(with_table(on_gpu, "steps", steps), EN)
    assert "nf4" not in gpu.launches(without, EN)


def test_a_setting_that_did_not_fit_is_counted(on_gpu):
    table = on_gpu.gpu["memory"].copy()
    fitting = table.index[table["fits"]][0]
    table.loc[fitting, "fits"] = False
    said = gpu.fits(with_table(on_gpu, "memory", table), EN)
    number = int(on_gpu.gpu["memory"]["fits"].sum())
    assert f"Of {number} settings that the plan made there says fit into 4 GiB, {number - 1} took" in said


def test_what_did_not_fit_on_the_gpu_has_no_number(on_gpu):
    steps, table = on_gpu.gpu["steps"], on_gpu.gpu["memory"].copy()
    large = with_table(on_gpu, "steps", steps[(steps["encoder"] != "RoBERTa-large") | (steps["method"] != "full")])
    assert "RoBERTa-large, bf16 |" not in gpu_tables.both(large, EN) and "RoBERTa-large, bf16 |" not in gpu_tables.steps(
        large, EN
    )
    table.loc[table["model"] == "RoBERTa-large", ["measured_mib", "reserved_mib"]] = float("nan")
    none = with_table(on_gpu, "memory", table)
    assert "nan" not in gpu_tables.memory(none, EN) and "nan" not in gpu.fits(none, EN)
    assert gpu.checked(none, EN, ("RoBERTa-large", "lora", True, "bf16", "bf16")) == ""


def test_methods_that_were_not_trained_there_are_named(on_gpu):
    rows = on_gpu.gpu["training"]
    said = gpu.trained(with_table(on_gpu, "training", rows[rows["method"] == "lora"]), EN)
    assert said.endswith("Not trained there: full and adapter.")
    whole = pd.concat([rows, rows[rows["method"] == "lora"].assign(method="adapter")])
    assert "Not trained" not in gpu.trained(with_table(on_gpu, "training", whole), EN)


def test_the_practical_case_is_quoted_where_it_was_measured(on_gpu):
    assert gpu.checked(on_gpu, EN, ("RoBERTa-large", "lora", True, "bf16", "bf16")).endswith("measured on one NVIDIA H200")
    assert gpu.checked(on_gpu, EN, ("RoBERTa-large", "lora", True, "fp16", "fp16")) == ""


def test_the_encoder_is_the_embedded_one_whatever_this_run_has(own_facts, on_gpu):
    said = gpu.brief(replace(own_facts("a", "b"), gpu=on_gpu.gpu), EN)
    assert "all-MiniLM-L6-v2, fp32" in said and "this encoder" not in said


def with_table(facts: Facts, part: str, table: pd.DataFrame) -> Facts:
    assert facts.gpu is not None
    return replace(facts, gpu=facts.gpu | {part: table})
