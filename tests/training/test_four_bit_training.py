"""Training beside an encoder in nf4, from the stage to the saved model and what predicts with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.classifier.inference import predict_logits
from stages.classifier.splits import load_labels, load_split, load_tokenizer, make_collator
from stages.methods.checkpoint import load_checkpoint
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.machine import pick_device
from stages.training import results as training_results
from stages.training import run
from tests.four_bit import hide_bitsandbytes, needs_bitsandbytes
from tests.imports import ROOT
from tests.refusals import refused
from tests.training.tiny import results, write_params


@needs_bitsandbytes
@pytest.mark.parametrize("method", ["lora", "adapter"])
@pytest.mark.parametrize(("precision", "micro_batch_size"), [("fp32", "auto"), ("bf16", 4)])
def test_a_saved_model_predicts_what_the_trained_one_did(
    prepared, with_params, capsys, monkeypatch, method, precision, micro_batch_size
):
    """The same logits, bit for bit; merged, as exported and used by `predict`, the same within rounding."""
    params = with_params(data={"max_length": 16})
    write_params(prepared, params, frozen_dtype="nf4", precision=precision, micro_batch_size=micro_batch_size)
    kept = []
    save = training_results.save_checkpoint
    monkeypatch.setattr(training_results, "save_checkpoint", lambda model, *rest: (kept.append(model), save(model, *rest)))
    run.train(method_of(method))
    said = capsys.readouterr().out
    assert f"{method}: 13 linear layers in nf4 take" in said
    rows, collator = load_split("validation"), make_collator(load_tokenizer())
    expected = predict_logits(kept[0], rows, collator, 8, precision)
    folder = Path("models") / method
    assert json.loads((folder / "base_model.json").read_text())["frozen_dtype"] == "nf4"
    saved = load_checkpoint(folder).to(pick_device())  # another device sums in another order
    assert (predict_logits(saved, rows, collator, 8, precision) == expected).all()
    if method == "lora":
        merged = load_checkpoint(folder, merge=True)
        tolerance = {"fp32": 1e-5, "bf16": 8 * 2.0**-8}[precision]
        assert np.abs(predict_logits(merged, rows, collator, 8) - expected).max() <= tolerance * np.abs(expected).max()
    summary = json.loads((Path("metrics/training") / f"{method}.json").read_text())
    unpacked = build(method_of(method), with_params(), load_labels())
    assert summary["total_parameters"] == sum(
        weight.numel() for name, weight in unpacked.named_parameters() if "original_module" not in name
    )


@needs_bitsandbytes
@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_the_stage_gives_the_same_bytes_twice_and_those_of_nothing_else(prepared, with_params, method):
    """AWP acts on what is trained."""
    found = []
    for frozen in ("nf4", "nf4", "same"):
        write_params(prepared, with_params(awp={"window_start": 0.0}), frozen_dtype=frozen, gradient_checkpointing=True)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[1:])}
        command = [sys.executable, "-m", f"stages.train_{method}"]
        done = subprocess.run(command, cwd=prepared, env=environment, capture_output=True, text=True, check=True)
        assert "bitsandbytes" not in done.stderr  # nor its warnings
        found.append(results(prepared))
        inputs = json.loads(Path(f"metrics/provenance/train_{method}.json").read_text())["inputs"]
        assert ("package bitsandbytes" in inputs) == (frozen == "nf4")
        assert json.loads(Path(f"metrics/training/{method}.json").read_text())["awp_steps"] > 0
    assert found[0] == found[1] != found[2]


def test_full_fine_tuning_freezes_nothing_and_needs_no_package(prepared, with_params, capsys, monkeypatch):
    hide_bitsandbytes(monkeypatch)
    write_params(prepared, with_params(), epochs=1)
    run.train(method_of("full"))
    expected = (prepared / "models/full/model.safetensors").read_bytes()
    write_params(prepared, with_params(), epochs=1, frozen_dtype="nf4")
    run.train(method_of("full"))
    assert "full: train.frozen_dtype=nf4 has no effect: full fine-tuning freezes nothing" in capsys.readouterr().out
    assert (prepared / "models/full/model.safetensors").read_bytes() == expected


@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_without_the_package_a_training_is_refused_before_anything_is_loaded(prepared, with_params, monkeypatch, method):
    hide_bitsandbytes(monkeypatch)
    monkeypatch.setattr(run, "build", lambda *arguments: pytest.fail("it has begun"))
    write_params(prepared, with_params(), frozen_dtype="nf4")
    message = refused(run.train, method_of(method))
    assert message.startswith("train.frozen_dtype: received nf4") and "pip install -r requirements-qlora.txt" in message
    assert results(prepared) == {}


@needs_bitsandbytes
@pytest.mark.slow
def test_a_default_training_has_the_same_bytes_whether_it_is_installed_or_not(prepared, with_params):
    """PEFT loads the package wherever it finds it."""
    write_params(prepared, with_params(), epochs=1)
    hidden = "import sys, runpy; sys.modules['bitsandbytes'] = None; import importlib.util as u; f = u.find_spec; "
    hidden += "u.find_spec = lambda name, *rest: None if name == 'bitsandbytes' else f(name, *rest); "
    loaded = "print('loaded', bool(sys.modules.get('bitsandbytes')))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    found = []
    for start in (hidden, "import sys, runpy; "):
        code = f"{start}runpy.run_module('stages.train_lora', run_name='__main__'); {loaded}"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=prepared, env=environment, capture_output=True, text=True, check=True
        )
        found.append((done.stdout.splitlines()[-1], results(prepared)))
    assert [said for said, _ in found] == ["loaded False", "loaded True"]
    assert found[0][1] == found[1][1]
