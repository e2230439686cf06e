"""peft_extras as a package for others: its wheel holds it alone, and works away from this checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.imports import ROOT

README = ROOT / "peft_extras" / "README.md"
EXAMPLES = ROOT / "examples" / "peft_extras"


def python(*arguments: str, folder: Path, path: Path | None = None) -> str:
    """Run Python in `folder` with only `path` beside the installed packages, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built without a network in a copy: a build leaves folders behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("peft_extras", "stages"):  # stages must stay out
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    python("-m", "pip", "wheel", *offline, "--wheel-dir", "dist", ".", folder=source)
    (found,) = (source / "dist").iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder into which the wheel is installed."""
    site = tmp_path_factory.mktemp("site")
    python("-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(site), str(wheel), folder=site)
    return site


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone(wheel):
    assert wheel.name == "peft_extras-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read("peft_extras-0.1.0.dist-info/METADATA").decode()
        licenses = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "peft_extras").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    assert "peft_extras/py.typed" in names and len(licenses) == 1
    assert "License-Expression: MIT" in metadata
    assert README.read_text(encoding="utf-8").strip() in metadata  # the page on an index


@pytest.mark.slow
def test_what_it_needs_is_what_it_imports_in_versions_that_were_tested(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("peft_extras-0.1.0.dist-info/METADATA").decode()
    needs = {need.name: need for need in map(Requirement, re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE))}
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "peft_extras").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)) - set(sys.stdlib_module_names)
    assert imported - {"peft_extras"} == set(needs) == {"torch", "peft"}
    assert all(need.specifier.contains(version(name), prereleases=True) for name, need in needs.items())


@pytest.mark.slow
@pytest.mark.parametrize("example", ["trainer", "plain_loop"])
def test_the_examples_run_on_the_installed_package(installed, example, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    printed = python(f"examples/{example}.py", folder=tmp_path, path=installed)
    assert "steps=24" in printed and printed.splitlines()[-1] == "loaded again: the same logits"


@pytest.mark.slow
def test_an_adapter_saved_with_the_installed_package_loads_in_another_process(installed, tmp_path):
    shutil.copy(EXAMPLES / "tiny.py", tmp_path)
    setup = (
        "import torch, peft, peft_extras.bottleneck as b; from tiny import *; "
        "base = tiny_classifier(); ids = torch.arange(8)[None]; "
    )
    save = (
        "m = peft.get_peft_model(base, adapter_config()).eval(); "
        "[torch.nn.init.normal_(p) for n, p in m.named_parameters() if 'feedforward_adapter' in n]; "
        "m.save_pretrained('adapter'); print(b.__file__, m(ids).logits.tolist(), sep='|')"
    )
    load = "m = peft.PeftModel.from_pretrained(base, 'adapter').eval(); print(b.__file__, m(ids).logits.tolist(), sep='|')"
    saved, loaded = (python("-c", setup + code, folder=tmp_path, path=installed).strip().split("|") for code in (save, load))
    assert saved == loaded
    assert Path(saved[0]).is_relative_to(installed)
    assert saved[1] != "[[0.0, 0.0]]"


@pytest.mark.slow
def test_awp_and_mixout_alone_need_no_peft(installed, tmp_path):
    code = (
        "import sys, torch; sys.modules['peft'] = None; from peft_extras.mixout import apply_mixout; "
        "from peft_extras.awp import AdversarialWeightPerturbation as A; m = torch.nn.Sequential(torch.nn.Linear(3, 2)); "
        "apply_mixout(m, ['0'], 0.5); a = A(m, 0.1); f = lambda: m(torch.ones(1, 3)).sum()\n"
        "with a.perturbed(f): f().backward()\n"
        "print(a.log.steps, 'transformers' in sys.modules)"
    )
    assert python("-c", code, folder=tmp_path, path=installed).split() == ["1", "False"]


def test_the_readme_runs(tmp_path):
    """All code of the package's page, in one go; then the Trainer of its last block trains."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert len(blocks) == 4 and names["awp"].log.steps == 1
    torch, arguments = names["torch"], pytest.importorskip("transformers").TrainingArguments
    rows = [{"input_ids": torch.arange(6) + start, "labels": start % 2} for start in range(8)]
    quiet = {"save_strategy": "no", "report_to": "none", "use_cpu": True}
    settings = arguments(str(tmp_path), max_steps=2, per_device_train_batch_size=4, **quiet)
    trainer = names["AwpTrainer"](names["model"], settings, train_dataset=rows)
    before = names["model"].base_model.model.classifier.modules_to_save["default"].weight.detach().clone()
    trainer.train()
    assert trainer.awp.log.steps == 2
    assert not torch.equal(before, names["model"].base_model.model.classifier.modules_to_save["default"].weight)
