"""The true pipeline, with DVC, on the examples: a copy of the project is run the way a user runs it."""

import json
import subprocess
import sys

import pytest
import yaml

from tests.clone import STAGES, Project, ran, skipped
from tests.metric_keys import HEADLINE, detail_keys


@pytest.fixture(scope="module")
def project(pipeline) -> Project:
    return pipeline


def test_a_second_repro_has_nothing_to_do(project):
    output = project.run("dvc", "repro")
    assert (ran(output), skipped(output)) == ([], STAGES)
    assert "up to date" in project.run("dvc", "status")


def test_every_declared_file_is_there(project):
    definition = yaml.safe_load((project.folder / "dvc.yaml").read_text())
    outs = [out for stage in STAGES for kind in ("outs", "metrics") for out in definition["stages"][stage].get(kind, [])]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    paths += [plot for plot in definition["plots"] if isinstance(plot, str)]
    assert [path for path in paths if not (project.folder / path).exists()] == []


def test_metric_files_have_the_agreed_keys(project):
    for method in ("full", "lora", "adapter"):
        metrics = project.json(f"metrics/{method}.json")
        assert list(metrics) == HEADLINE
        assert list(project.json(f"metrics/details/{method}.json")) == detail_keys()  # the examples bring no transfer sets
        assert all(isinstance(value, int | float) for value in metrics.values())
    assert project.json("metrics/headline.json") == project.json("metrics/full.json")


def weights(project, method: str) -> bytes:
    (file,) = (project.folder / "models" / method).glob("*.safetensors")
    return file.read_bytes()


def test_one_knob_reruns_what_depends_on_it_and_turning_it_back_trains_nothing(project):
    before = weights(project, "lora")
    output = project.run("dvc", "exp", "run", "-S", "peft.rank=4")
    assert ran(output) == ["train_lora", "evaluate", "benchmark", "plan", "report"]
    assert skipped(output) == ["fetch", "prepare", "train_full", "train_adapter", "plan_published"]
    body = project.json("metrics/details/lora.json")["trainable_body_parameters"]
    assert body == 2 * 4 * 4 * (32 + 32)  # layers, projections, rank, in + out

    shown = project.run("dvc", "metrics", "show")
    assert "metrics/lora.json" in shown and "metrics/timing" not in shown
    assert "lora_merged" in project.run(
        "dvc", "metrics", "show", *(f"metrics/timing/{arm}.json" for arm in ("full", "lora_merged"))
    )
    diff = project.run("dvc", "metrics", "diff")
    assert "trainable" in diff and str(project.json("metrics/lora.json")["trainable"]) in diff

    # only as far as evaluate: that the rest, which holds timings, is never cached says tests/test_run_cache.py
    output = project.run("dvc", "exp", "run", "-S", "peft.rank=2", "evaluate")
    assert "Stage 'train_lora' is cached - skipping run, checking out outputs" in output
    assert ran(output) == ["evaluate"]
    assert weights(project, "lora") == before
    assert project.json("metrics/provenance/train_lora.json")["inputs"]["parameter peft.rank"] == "2"  # not of the other run
    project.run("git", "checkout", "--quiet", ".")
    project.run("dvc", "checkout", "--quiet")


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("stages/report/tables.py", ["report"]),
        ("stages/evaluate/tables.py", ["evaluate"]),
        ("stages/training/sampler.py", ["train_full", "train_lora", "train_adapter"]),
        ("stages/methods/lora.py", ["train_lora", "benchmark", "plan", "plan_published"]),
    ],
)
def test_a_comment_makes_only_the_stages_stale_that_read_the_file(project, file, stale):
    path = project.folder / file
    content = path.read_text()
    path.write_text(content + "# a comment\n")
    status = json.loads(project.run("dvc", "status", "--json"))
    path.write_text(content)
    assert list(status) == stale


def test_the_lock_file_can_be_read(project):
    assert len((project.folder / "dvc.lock").read_text().splitlines()) <= 1150


def test_the_report_is_complete(project):
    for name, details in (("REPORT.md", "reports/details.md"), ("INFORME.md", "reports/detalles.md")):
        report, more = ((project.folder / path).read_text() for path in (name, details))
        latency = report.split("## 9. ")[1].split("## 10. ")[0]
        assert [line[:2] for line in latency.splitlines()[1:] if line] == ["1.", "2.", "3.", "4.", "5."]
        assert report.count("\n") <= 150
        for path, text in ((name, report), (details, more)):
            targets = {part.split(")")[0] for part in text.split("](")[1:]}
            assert [target for target in targets if not (project.folder / path).parent.joinpath(target).exists()] == []
        for method in ("full", "lora", "adapter"):
            assert (project.folder / f"reports/{method}.txt").read_text().rstrip() in more


def test_every_exported_model_has_a_card_with_its_scores(project):
    project.run("python", "-m", "stages.export")
    for method in ("full", "lora", "adapter"):
        card = (project.folder / f"exported/{method}/README.md").read_text()
        assert f"| macro F1 | {project.json(f'metrics/{method}.json')['f1']:.4f} |" in card
        assert "reviews.csv" in card and "negative, positive" in card
        assert ("| method | LoRA: rank 2," in card) == (method == "lora")


def test_a_mistake_in_the_parameters_is_one_message(project):
    params = project.folder / "params.yaml"
    content = params.read_text()
    params.write_text(content.replace("rank: 2", "rnak: 2"))
    command = [sys.executable, "-m", "stages.train_lora"]
    done = subprocess.run(command, cwd=project.folder, env=project.environment, capture_output=True, text=True)
    params.write_text(content)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "peft.rnak: unknown key; the nearest known one is peft.rank" in done.stderr
