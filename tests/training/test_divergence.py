"""A training whose numbers overflow ends in one message and leaves nothing; the environment does not decide its precision."""

import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from stages.methods.registry import method_of
from stages.project.paths import SAVE_POINTS
from stages.training import run
from stages.training.trainer import FineTuningTrainer
from tests.refusals import refused
from tests.training.tiny import results, write_params

RATES = {"full": 1e-3, "lora": 1e-3, "adapter": 1e-3}


def change(**sections) -> None:
    """Replace some values in params.yaml."""
    path = Path("params.yaml")
    content = yaml.safe_load(path.read_text())
    for name, values in sections.items():
        content[name].update(values)
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("changed", "what", "lower"),
    [
        ({"train": {"learning_rate": RATES | {"full": 1e30}}}, "is (nan|inf)", r"train\.learning_rate\.full \(1e\+30\)"),
        ({"awp": {"enabled": True, "epsilon": 1e30}}, "is (nan|inf)", r"awp\.epsilon \(1e\+30\) or train\.learning_rate\.full"),
        ({"awp": {"enabled": True, "box": 1e30, "step": 1e30, "epsilon": 9}}, "is (nan|inf)", r"awp\.box \(1e\+30\) or train\."),
        ({"train": {"weight_decay": 1e25}}, "is (nan|inf)", r"train\.learning_rate\.full .* or train\.weight_decay \(1e\+25\)"),
    ],
)
def test_numbers_that_overflow_end_the_training_and_nothing_is_kept(prepared, with_params, monkeypatch, changed, what, lower):
    monkeypatch.setenv("SAVE_POINT_SECONDS", "0")  # there is a save point after the first step
    write_params(prepared, with_params(), awp=False, epochs=4)
    change(**changed)
    message = refused(run.train, method_of("full"))
    pattern = rf"full: the training diverged in optimizer step \d+ of 16, at a learning rate of \S+: .* {what}; lower {lower}"
    assert re.match(pattern, message), message
    assert message.endswith("; nothing of this training is kept")
    assert results(prepared) == {} and not list(SAVE_POINTS.rglob("*.safetensors"))


def test_logits_that_overflow_on_validation_end_it_too(prepared, with_params, monkeypatch):
    """After the last step of an epoch no loss is left to notice it."""
    write_params(prepared, with_params(), awp=False)
    evaluate = FineTuningTrainer.evaluate

    def broken(trainer, *args, **kwargs):
        with torch.no_grad():
            trainer.model.classifier.bias.fill_(float("inf"))
        return evaluate(trainer, *args, **kwargs)

    monkeypatch.setattr(FineTuningTrainer, "evaluate", broken)
    message = refused(run.train, method_of("full"))
    assert "in optimizer step 4 of 8" in message and "12 of 12 validation texts have logits that are not finite" in message
    assert results(prepared) == {}


def test_the_environment_of_accelerate_changes_no_byte_and_the_precision_is_recorded(prepared, with_params, monkeypatch, capsys):
    write_params(prepared, with_params(), epochs=1)
    run.train(method_of("lora"))
    plain = results(prepared)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "7")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "EAGER")
    capsys.readouterr()
    run.train(method_of("lora"))
    assert results(prepared) == plain
    assert "ACCELERATE_MIXED_PRECISION=bf16 has no effect" in capsys.readouterr().out
    record = json.loads((prepared / "metrics/provenance/train_lora.json").read_text())
    assert record["inputs"]["machine precision"] == "float32"
