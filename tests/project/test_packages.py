"""Which packages a record names: all that the code can load, whatever happens to be loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.project import packages
from stages.project.packages import canonical, installed_version, package_versions
from tests.imports import ROOT
from tests.training.tiny import prepare, write_params

DEPS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train_lora"]["deps"]
CODE = [ROOT / dep for dep in DEPS if dep.startswith(("stages", "peft_extras"))]
LOADED = """
import json, runpy, sys
runpy.run_module("stages.train_lora", run_name="__main__")
from importlib.metadata import packages_distributions
owners = packages_distributions()
top = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted({package for name in top for package in owners.get(name, ())})))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that makes an installed package in a folder of its own, or replaces it by another version."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def made(name: str, version: str, *lines: str) -> None:
        for old in (tmp_path / "site").glob(f"{name}-*"):
            (old / "METADATA").unlink()
            (old / "top_level.txt").unlink()
            old.rmdir()
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        (folder / "METADATA").write_text("\n".join([*head, *lines, ""]))
        (folder / "top_level.txt").write_text(f"{name}\n")
        packages._owners.cache_clear()
        packages._installed.cache_clear()

    yield made
    packages._owners.cache_clear()
    packages._installed.cache_clear()


def write(folder: Path, text: str) -> list[Path]:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code/module.py").write_text(text)
    return [folder / "code"]


def test_what_is_imported_what_that_needs_and_what_it_uses_if_it_is_there(tmp_path, install):
    install("aaa", "1.0", "Requires-Dist: bbb>=1", "Requires-Dist: never; sys_platform == 'none'")
    install("bbb", "2.0", "Provides-Extra: fast", "Provides-Extra: dev", "Requires-Dist: ccc; extra == 'fast'",
            "Requires-Dist: ddd; extra == 'dev'", "Requires-Dist: absent; extra == 'fast'")  # fmt: skip
    for name in ("ccc", "ddd", "never"):
        install(name, "3.0")
    code = write(tmp_path, "import os, aaa.part\nfrom . import other\n")
    assert package_versions(code) == {"aaa": "1.0", "bbb": "2.0", "ccc": "3.0"}  # not ddd, which only bbb's developers need
    assert package_versions(write(tmp_path, "def later():\n    from ccc.x import y\n")) == {"ccc": "3.0"}
    assert package_versions(write(tmp_path, "import os\n")) == package_versions([tmp_path / "nothing"]) == {}


def test_a_package_that_only_a_parameter_asks_for_is_left_out(tmp_path, install):
    install("bitsandbytes", "1.0", "Requires-Dist: bbb")
    install("bbb", "2.0")
    assert package_versions(write(tmp_path, "import bitsandbytes as bnb\nimport bbb")) == {"bbb": "2.0"}
    assert installed_version("bitsandbytes") == "1.0" and installed_version("nothing-of-that-name") == "none"


def test_another_version_of_any_of_them_is_seen(tmp_path, install):
    install("aaa", "1.0", "Requires-Dist: bbb")
    install("bbb", "2.0")
    code = write(tmp_path, "import aaa")
    before = package_versions(code)
    install("bbb", "2.1")
    assert package_versions(code) == before | {"bbb": "2.1"}


def test_what_happens_to_be_loaded_has_no_influence(monkeypatch):
    before = package_versions(CODE)
    assert {"torch", "transformers", "scikit-learn", "scipy", "pandas", "pyarrow", "numpy", "tqdm", "protobuf"} <= before.keys()
    assert not {"pytest", "ruff", "mypy", "dvc"} & before.keys()
    assert list(before) == sorted(before)
    for name in ("torch", "pandas", "tqdm"):
        monkeypatch.delitem(sys.modules, name)
    assert package_versions(CODE) == before


@pytest.mark.slow
def test_every_package_that_a_training_loads_is_recorded(project, params):
    prepare(project)
    write_params(project, params, epochs=1)
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, cwd=project, check=True)
    loaded = {canonical(name) for name in json.loads(done.stdout.splitlines()[-1])}
    record = json.loads((project / "metrics/provenance/train_lora.json").read_text())["inputs"]
    recorded = {name.removeprefix("package ") for name in record if name.startswith("package ")}
    assert len(loaded) > 30 and loaded - recorded <= packages.ON_DEMAND  # PEFT loads it if it is there, and uses it in nf4 only
