"""What is exported loads in a process that knows nothing of this project, and computes the same."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel, pipeline

from stages.classifier.splits import load_tokenizer
from stages.export import stage as export
from stages.export.card import MARK
from stages.export.standalone import standalone_module
from stages.methods.checkpoint import load_checkpoint
from stages.predict import stage as predict
from stages.project.errors import UserError
from stages.project.files import content_hash, read_json, write_json
from stages.project.paths import DETAILS, METRICS, SHARDS, TRAINING_METRICS, WEIGHTS
from stages.project.provenance import Provenance, write_provenance
from tests.checkpoints import LABELS, make_checkpoint, random_texts
from tests.export.reading import parse_card

METHODS = ("full", "lora", "adapter")


@pytest.fixture
def checkpoints(project, params) -> None:
    for method in METHODS:
        make_checkpoint(method, params)


def logits(folder: Path, texts: list[str], merge: bool = False) -> np.ndarray:
    """Logits (N, K) of the checkpoint as this project loads it, cut to what its tokenizer says, padded together."""
    batch = load_tokenizer(folder)(texts, truncation=True, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return load_checkpoint(folder, merge=merge)(**batch).logits.numpy()


# runs the code of each model card, then classifies the texts and prints the logits
ELSEWHERE = """
import importlib.util, json, sys
assert importlib.util.find_spec("stages") is None
cards, texts = json.loads(sys.argv[1])
for code in cards:
    assert "peft" in code or "peft" not in sys.modules
    names = {}
    exec(code, names)
    batch = names["tokenizer"](texts, truncation=True, padding=True, return_tensors="pt")
    with names["torch"].inference_mode():
        print(json.dumps(names["model"](**batch).logits.tolist()))
"""


def logits_elsewhere(cards: list[Path], texts: list[str], folder: Path) -> list[np.ndarray]:
    """Run the code that each card shows in a new process in `folder`, where no `stages` can be imported."""
    code = [re.search(r"```python\n(.*?)```", card.read_text(encoding="utf-8"), re.DOTALL)[1] for card in cards]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", ELSEWHERE, json.dumps([code, texts])]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    shown = [line for line in lines if line.startswith("{'negative': ")]
    assert len(shown) == 2 * len(cards)  # the card's own two texts
    return [np.array(json.loads(line), dtype=np.float32) for line in lines if line.startswith("[[")]


@pytest.mark.slow
def test_exported_folders_load_without_this_project(checkpoints, tmp_path_factory):
    texts = random_texts(9)
    export.main(["--to", "."])  # full, lora and adapter beside models
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for method in METHODS:
        shutil.copytree(method, elsewhere / method)
    found = logits_elsewhere([elsewhere / method / "README.md" for method in METHODS], texts, elsewhere)  # PEFT is needed last
    for method, there in zip(METHODS, found, strict=True):
        expected = logits(Path("models") / method, texts)
        np.testing.assert_allclose(there, expected, atol=1e-5, err_msg=method)
        assert np.ptp(expected, axis=0).max() > 0.01
    for method in METHODS:  # in this project they give exactly the same numbers
        expected = logits(Path("models") / method, texts, merge=method == "lora")
        assert np.array_equal(logits(Path(method), texts), expected)


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["regression", "multi_label_classification", None])
def test_the_librarys_pipeline_gives_probabilities(project, params, problem):
    config = read_json(Path("models/base/config.json"))
    write_json(Path("models/base/config.json"), config | {"problem_type": problem})
    for method in METHODS:
        make_checkpoint(method, params)
    export.main([])
    for method in ("full", "lora"):
        classify = pipeline("text-classification", model=f"exported/{method}", top_k=None)
        found = {row["label"]: row["score"] for row in classify(["w1 w2 w3"])[0]}
        expected = np.exp(logits(Path("models", method), ["w1 w2 w3"])[0].astype(np.float64))
        assert found == pytest.approx(dict(zip(LABELS, expected / expected.sum(), strict=True)), abs=1e-5)
    assert read_json(Path("exported/adapter/config.json")).get("problem_type") in (None, "single_label_classification")


@pytest.mark.slow
def test_an_adapter_of_a_base_model_in_shards_loads_elsewhere(project, params, tmp_path_factory):
    make_checkpoint("adapter", params)
    encoder = BertModel.from_pretrained("models/base")
    Path("models/base", WEIGHTS).unlink()
    encoder.save_pretrained("models/base", max_shard_size="10KB")
    make_checkpoint("adapter", params)
    export.main(["--method", "adapter"])
    held = {path.name for path in Path("exported/adapter/base").iterdir()}
    shards = {path.name for path in Path("models/base").glob("*.safetensors")}
    assert len(shards) > 1 and held == {"config.json", SHARDS, *shards}

    elsewhere, texts = tmp_path_factory.mktemp("elsewhere"), random_texts(5)
    shutil.copytree("exported/adapter", elsewhere / "adapter")
    expected = logits(Path("models/adapter"), texts)
    (there,) = logits_elsewhere([elsewhere / "adapter/README.md"], texts, elsewhere)
    np.testing.assert_allclose(there, expected, atol=1e-5)


@pytest.mark.slow
def test_what_an_exported_folder_holds(checkpoints, capsys):
    export.main(["--to", "out/there"])
    assert "\nout/there/full written; out/there/full/README.md says how to load it\n" in capsys.readouterr().out
    tokenizer = {"tokenizer.json", "tokenizer_config.json", "README.md", "config.json"}
    held = {method: {path.name for path in Path("out/there", method).iterdir()} for method in METHODS}
    assert held["full"] == held["lora"] == tokenizer | {"model.safetensors"}
    adapter = {"adapter_config.json", "adapter_model.safetensors", "base_model.json", "bottleneck_adapter.py", "base"}
    assert held["adapter"] == tokenizer | adapter
    for method in METHODS:
        front, sections = parse_card(Path("out/there", method, "README.md").read_text(encoding="utf-8"))
        assert front[MARK] == f"models/{method}" and "Unicode form NFC" in sections["How to load it"]
    first = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    export.main(["--to", "out/there"])  # over what is there
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == first
    predict.main(["--models", "out/there", "--method", "lora", "w1"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("w1,")


def test_the_standalone_module_imports_torch_and_peft_only():
    text = standalone_module()
    assert "stages" not in text
    modules = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert modules - sys.stdlib_module_names == {"torch", "peft"}


def write_results(method: str, evaluated: str) -> None:
    """What `evaluate` leaves, for weights with the hash `evaluated`."""
    scores = dict.fromkeys(("accuracy", "precision", "recall"), 0.5) | {"f1": 0.61, "f1_low": 0.59, "f1_high": 0.63}
    learned = {"f1_minus_majority_low": 0.1, "f1_minus_stratified_low": 0.1, "never_predicted": []}
    by_class = dict.fromkeys(LABELS, 0.61)
    write_json(DETAILS / f"{method}.json", {**scores, "transfer_tweets_f1": 0.4, **learned, "f1_by_class": by_class})
    write_json(METRICS / "data.json", read_json(METRICS / "data.json") | {"test_rows": 2014})
    record: Provenance = {"revision": None, "history": "complete", "uncommitted": None, "inputs": {f"models/{method}": evaluated}}
    write_provenance("evaluate", record, [DETAILS / f"{method}.json"])


def test_test_scores_are_shown_if_they_are_of_these_weights(project, params):
    make_checkpoint("lora", params)
    write_results("lora", content_hash(Path("models/lora")))
    export.main(["--method", "lora"])
    assert not Path("exported/full").exists()
    front, sections = parse_card(Path("exported/lora/README.md").read_text())
    assert (front["library_name"], front["license"]) == ("transformers", "mit")
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["split"] == "test" and result["metrics"][-1]["value"] == 0.61
    shown = sections["Scores"]
    assert "| on validation | value |" in shown and "| macro F1 | 0.6100 |" in shown
    assert "test set of 2,014 texts" in shown and "0.590 and 0.630 (95 % bootstrap" in shown and "| tweets | 0.4000 |" in shown


@pytest.mark.parametrize("different", ["weights", "metrics"])
def test_test_scores_of_other_weights_are_not_shown(project, params, different):
    folder = make_checkpoint("lora", params)
    write_results("lora", "0" * 64 if different == "weights" else content_hash(folder))
    if different == "metrics":
        write_json(DETAILS / "lora.json", read_json(DETAILS / "lora.json") | {"f1": 0.613})
    export.main(["--method", "lora"])
    front, sections = parse_card(Path("exported/lora/README.md").read_text())
    assert front["model-index"][0]["results"][0]["dataset"]["split"] == "validation"
    assert "No scores on the test set" in sections["Scores"] and "0.61" not in sections["Scores"]


def refused(*arguments: str) -> str:
    with pytest.raises(UserError) as error:
        export.main(arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_exported_is_refused_before_anything_is_written(project, params):
    make_checkpoint("lora", params)
    assert refused().startswith("models/full, models/adapter: no trained model there; `dvc repro train_full train_adapter`")
    assert refused("--method", "lora", "--to", "./models/").startswith("--to models: that is where the checkpoints are")
    (TRAINING_METRICS / "lora.json").unlink()
    make_checkpoint("full", params)
    make_checkpoint("adapter", params)
    message = refused()
    assert message.startswith("models/lora: what its training recorded cannot be read") and "`dvc repro train_lora`" in message
    assert not Path("exported").exists()


def test_a_folder_of_something_else_is_not_replaced(project, params):
    make_checkpoint("lora", params)
    Path("thesis/lora").mkdir(parents=True)
    Path("thesis/lora/chapter.tex").write_text("years of work")
    assert refused("--method", "lora", "--to", "thesis").startswith("thesis/lora: exists and is not an exported model")
    assert Path("thesis/lora/chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize("card", [None, b"# Mine\n", b"---\nlicense: mit\n---\n\n# Mine\n", b"\xff\xfe"])
def test_a_model_from_elsewhere_is_not_replaced(project, params, card):
    make_checkpoint("lora", params)
    shutil.copytree("models/base", "mine/lora")
    if card is not None:
        Path("mine/lora/README.md").write_bytes(card)
    before = {path: path.read_bytes() for path in Path("mine/lora").iterdir()}
    assert refused("--method", "lora", "--to", "mine").startswith("mine/lora: exists and is not an exported model")
    assert {path: path.read_bytes() for path in Path("mine/lora").iterdir()} == before
