"""What the card is computed from: facts about other weights or other data are refused, not shown."""

from pathlib import Path

import pytest
import yaml

from stages.export.facts import read_card_facts
from stages.export.lock import dvc_hash
from stages.project.errors import UserError
from stages.project.paths import LEARNING_CURVES, PROVENANCE, TRAINING_METRICS
from tests.checkpoints import LABELS, ROWS, VALIDATION, make_checkpoint


@pytest.fixture
def checkpoint(project, params) -> Path:
    return make_checkpoint("lora", params)


def test_facts_are_those_that_the_stages_left(checkpoint, params):
    facts = read_card_facts(checkpoint)
    assert (facts.labels, facts.rows, facts.params) == (LABELS, ROWS, params)
    assert facts.validation == VALIDATION and facts.training["best_epoch"] == 2  # of the kept epoch
    assert (facts.base.license, facts.test) == ("mit", None)


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        read_card_facts(folder)
    assert "\n" not in str(error.value) and str(error.value).startswith("models/lora: ")
    return str(error.value)


def test_a_training_that_recorded_nothing_is_named_with_its_command(checkpoint):
    for missing in (TRAINING_METRICS / "lora.json", LEARNING_CURVES / "lora.csv", PROVENANCE / "train_lora.json"):
        content = missing.read_bytes()
        missing.unlink()
        message = refused(checkpoint)
        assert "cannot be read (FileNotFoundError" in message and missing.name in message and "`dvc repro train_lora`" in message
        missing.write_text("{}")
        assert "cannot be read (" in refused(checkpoint)
        missing.write_bytes(content)


def test_a_record_of_other_weights_or_data_is_refused(checkpoint):
    weights = checkpoint / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "metrics/provenance/train_lora.json is about different weights; `dvc repro -f -s train_lora`" in refused(checkpoint)
    weights.write_bytes(content)
    Path("models/base/vocab.txt").write_text("another\n")
    assert "models/base is not what it was trained on" in refused(checkpoint)


def vouch(folder: Path, base: str | None = None) -> None:
    """Write a dvc.lock whose training left what is here, and read a base model with the hash `base` (None: the one here)."""
    left = [folder, TRAINING_METRICS / "lora.json", LEARNING_CURVES / "lora.csv"]
    outs = [{"path": path.as_posix(), "md5": dvc_hash(path)} for path in left]
    deps = [{"path": "models/base", "md5": base or dvc_hash(Path("models/base"))}, {"path": "data/gone.arrow", "md5": "0" * 32}]
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"train_lora": {"outs": outs, "deps": deps}}}))


@pytest.mark.parametrize("record", ["of another run", "damaged", "missing"])
def test_weights_from_the_run_cache_are_accepted_if_dvc_lock_vouches_for_them(checkpoint, record):
    path = PROVENANCE / "train_lora.json"
    if record == "missing":
        path.unlink()
    else:
        path.write_text(
            '{"outputs": {"models/lora": "0"}, "inputs": {"models/base": "0"}}' if record == "of another run" else "{"
        )
    assert path.name in refused(checkpoint) or record == "damaged"
    vouch(checkpoint)
    assert read_card_facts(checkpoint).labels == LABELS
    vouch(checkpoint, base="0" * 32 + ".dir")
    assert "models/base is not what it was trained on" in refused(checkpoint)
    vouch(checkpoint)
    (checkpoint / "adapter_model.safetensors").write_bytes(b"other")
    refused(checkpoint)
