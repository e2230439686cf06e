"""The stage on tiny models: all files, all keys, and the counted numbers the same twice."""

import contextlib
import csv
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
import torch
import yaml
from transformers import BertTokenizerFast

from stages.benchmark import latency, peak
from stages.benchmark import stage as benchmark
from stages.classifier.saving import save_checkpoint
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.files import write_json
from stages.project.schema import METHODS

ARMS = ["full", "lora", "lora_merged", "adapter"]
MACHINE_KEYS = {"device", "cpu", "cores", "threads", "platform", "python", "torch", "transformers", "peft", "load_average"}
LABELS = ["negative", "positive"]
SHAPES = [("1", "4"), ("1", "8"), ("2", "4"), ("2", "8")]
TIMING_KEYS = ["latency_1_ms", "latency_2_ms", "throughput_per_s", "step_ms", "step_awp_ms", "peak_mib"]


LAYER = "bert.encoder.layer.0.intermediate.dense"
BASE_LAYER = {"PeftModelForSequenceClassification": f"base_model.model.{LAYER}"}


def write_split(name: str, lengths: list[int]) -> None:
    generator = torch.Generator().manual_seed(len(lengths))
    ids = [torch.randint(5, 50, (length,), generator=generator).tolist() for length in lengths]
    table = pa.table(
        {
            "text": [f"text {row}" for row in range(len(ids))],
            "label": pa.array([row % 2 for row in range(len(ids))], pa.int64()),
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "length": pa.array(lengths, pa.int32()),
        }
    )
    Path("data/processed").mkdir(parents=True, exist_ok=True)
    with pa.OSFile(f"data/processed/{name}.arrow", "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.fixture
def trained(project, with_params):
    """A project after training; returns its parameters."""
    params = with_params(
        data={"max_length": 16},
        train={"batch_size": 4, "micro_batch_size": 2},
        benchmark={"batch_sizes": [1, 2], "lengths": [4, 8], "repeats": 3, "warmup": 1},
    )
    Path("params.yaml").write_text(yaml.safe_dump(params.model_dump()))
    Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]))
    tokenizer = BertTokenizerFast("vocab.txt")
    tokenizer.save_pretrained("models/base")
    write_json(Path("data/processed/labels.json"), {"labels": LABELS, "transfer": []})
    write_split("train", [4, 6, 7, 9, 12])
    write_split("test", [5, 8, 6])
    for name in METHODS:
        model = build(method_of(name), params, LABELS)
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        save_checkpoint(model, tokenizer, Path("models", name))
        # with train.micro_batch_size auto the methods may use different ones
        write_json(Path("metrics/training", f"{name}.json"), {"micro_batch_size": 2 if name == "full" else 4})
    return params


@pytest.fixture
def in_this_process(monkeypatch):
    """Measures peak memory in the test's own process; test_peak.py tests the new process per method and its numbers.

    Here an earlier test may have left the allocator with all that a step takes: a peak of nothing counts as 1 MiB.
    """
    monkeypatch.setattr(peak, "_positive", lambda value, _: max(value, peak.MIB))

    @contextlib.contextmanager
    def measured(*arguments):
        peaks = {method: peak._peak_of_steps(method, *arguments, torch.get_num_threads()) for method in METHODS}
        yield lambda: peaks

    monkeypatch.setattr(benchmark, "peaks_measured", measured)


def read(path: str) -> dict:
    return json.loads(Path(path).read_text())


@pytest.mark.slow
def test_all_files_are_written_and_the_counted_one_is_the_same_twice(trained, in_this_process):
    benchmark.main()
    table = list(csv.DictReader(Path("plots/latency.csv").read_text().splitlines()))
    check_latency_table(table)
    check_timing({arm: read(f"metrics/timing/{arm}.json") for arm in ARMS}, table)
    check_conditions(read("metrics/provenance/benchmark.json"))
    assert Path("plots/latency.png").read_bytes().startswith(b"\x89PNG")
    check_counted(read("metrics/memory.json"), trained)
    first = Path("metrics/memory.json").read_bytes()
    benchmark.main()
    assert Path("metrics/memory.json").read_bytes() == first


@pytest.mark.slow
def test_training_and_inference_are_timed_in_their_precisions(trained, in_this_process, monkeypatch):
    content = trained.model_dump()
    content["evaluate"]["precision"] = content["train"]["precision"] = content["train"]["frozen_dtype"] = "bf16"
    Path("params.yaml").write_text(yaml.safe_dump(content))
    seen = set()
    timed = latency._forward

    def watched(model, batch, precision):
        forward = timed(model, batch, precision)
        seen.add((precision, forward().dtype, model.get_submodule(BASE_LAYER.get(type(model).__name__, LAYER)).weight.dtype))
        return forward

    monkeypatch.setattr(latency, "_forward", watched)
    benchmark.main()
    assert seen == {("bf16", torch.bfloat16, torch.bfloat16)}
    check_latency_table(list(csv.DictReader(Path("plots/latency.csv").read_text().splitlines())), "bf16")
    assert read("metrics/provenance/benchmark.json")["training_precision"] == "bf16"
    merged = read("metrics/memory.json")["lora_merged"]
    assert merged["max_abs_logit_difference"] < 1e-5  # compared in float32, where bfloat16 would differ in the third digit


def check_timing(timing: dict[str, dict], table: list[dict]) -> None:
    """The same flat keys for every arm; the latencies are those of the table, and merged LoRA trains as LoRA."""
    medians = {(row["method"], row["batch_size"], row["length"]): float(row["median_ms"]) for row in table}
    for arm in ARMS:
        assert list(timing[arm]) == TIMING_KEYS
        assert all(value > 0 for value in timing[arm].values())
        assert timing[arm]["latency_1_ms"] == medians[arm, "1", "8"]
        assert timing[arm]["latency_2_ms"] == medians[arm, "2", "8"]
    for key in ("step_ms", "step_awp_ms", "peak_mib"):
        assert timing["lora_merged"][key] == timing["lora"][key]


def check_conditions(conditions: dict) -> None:
    assert set(conditions["machine"]) == MACHINE_KEYS
    base = Path("models/base/model.safetensors").read_bytes()
    assert conditions["base_model_sha256"] == hashlib.sha256(base).hexdigest()
    assert (conditions["latency_length"], conditions["latency_rounds"], conditions["latency_coverage"]) == (8, 3, 0.75)
    assert (conditions["step_length"], conditions["peak_length"]) == (7, 16)
    assert (conditions["micro_batch_size"], conditions["accumulation_steps"]) == (2, 2)
    assert list(conditions["peak_awp_mib"]) == list(METHODS)


def check_latency_table(rows: list[dict], precision: str = "fp32") -> None:
    assert [(row["batch_size"], row["length"]) for row in rows[:: len(ARMS)]] == SHAPES
    assert [row["method"] for row in rows] == ARMS * len(SHAPES)
    header = "method,batch_size,length,median_ms,p95_ms,ratio_to_full,ratio_low,ratio_high,rounds,coverage,precision"
    assert ",".join(rows[0]) == header
    for row in rows:
        assert 0 < float(row["median_ms"]) <= float(row["p95_ms"])
        assert float(row["ratio_low"]) <= float(row["ratio_to_full"]) <= float(row["ratio_high"])
        assert row["method"] != "full" or row["ratio_to_full"] == "1.0"
        assert (row["rounds"], row["coverage"], row["precision"]) == ("3", "0.75", precision)


def check_counted(memory: dict, params) -> None:
    assert list(memory) == ["full", "lora", "adapter", "lora_merged"]
    assert memory["lora_merged"]["max_abs_logit_difference"] <= memory["lora_merged"]["tolerance"]
    for method in METHODS:
        trainable = [p.numel() for p in build(method_of(method), params, LABELS).parameters() if p.requires_grad]
        assert memory[method]["trainable_parameters"] == sum(trainable)
        assert memory[method]["optimizer_state_bytes"] == 8 * sum(trainable) + 4 * len(trainable)
        weights = next(Path("models", method).glob("*.safetensors"))
        assert memory[method]["checkpoint_bytes"] == weights.stat().st_size
        assert [memory[method][key] for key in ("micro_batch_size", "accumulation_steps", "length")] == [2, 2, 16]
        assert list(memory[method]["peak_mib_by_micro_batch"]) == [f"micro_batch_{size}" for size in (2, 4, 16, 64)]
        assert memory[method]["peak_training_memory_awp_mib"] > memory[method]["peak_training_memory_mib"]
        assert memory[method]["awp_buffer_mib"] > 0


def test_a_length_beyond_the_model_is_refused_before_anything_is_written(trained, with_params):
    params = trained.model_dump()
    params["benchmark"]["lengths"] = [8, 64]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(UserError, match=r"benchmark\.lengths: the model accepts at most 32 tokens, received \[64\]"):
        benchmark.main()
    assert not Path("metrics/memory.json").exists()


def test_without_the_record_of_a_training_nothing_is_measured(trained):
    Path("metrics/training/lora.json").unlink()
    with pytest.raises(
        UserError, match=r"metrics/training/lora\.json: micro_batch_size cannot be read .* run the stage train_lora first"
    ):
        benchmark.main()
    assert not Path("metrics/memory.json").exists()
