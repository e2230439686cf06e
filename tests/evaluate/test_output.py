"""From predictions to files: keys, values, bytes, without any model."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from stages.evaluate.baselines import Baseline
from stages.evaluate.intervals import Bootstrap
from stages.evaluate.output import write_evaluation
from stages.evaluate.results import Predicted, Setting
from stages.presentation.titles import METHOD_LABELS
from tests.metric_keys import HEADLINE, SCORES, detail_keys

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("evaluated")]  # one that writes draws all figures

METHODS = ("full", "lora", "adapter")
CLASSES = ["negative", "positive"]
KEYS = detail_keys("products", "tweets")
FILES = {
    *(f"metrics/{method}.json" for method in METHODS),
    *(f"metrics/details/{method}.json" for method in METHODS),
    "metrics/baseline.json",
    "plots/f1_by_class.png",
    "plots/reliability.csv",
    "plots/reliability.png",
    *(f"reports/{method}.txt" for method in METHODS),
    *(f"plots/confusion/{method}.{kind}" for method in METHODS for kind in ("csv", "png")),
    "plots/tradeoff.csv",
    "plots/tradeoff.png",
    "plots/learning_curves.png",
}


def predicted(rows: int, seed: int) -> Predicted:
    """Draw two classes; full fine-tuning errs in 10 %, LoRA in 20 %, the adapter in 30 % of the texts."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, rows)
    errors = {method: generator.random(rows) < share for method, share in zip(METHODS, (0.1, 0.2, 0.3), strict=True)}
    return scored(labels, {method: np.where(wrong, 1 - labels, labels) for method, wrong in errors.items()})


def scored(labels: np.ndarray, by_method: dict[str, np.ndarray]) -> Predicted:
    """Give each prediction of two classes a probability between 0.6 and 0.9."""
    sure = 0.6 + 0.3 * np.random.default_rng(1).random(len(labels))
    positive = {method: np.where(p == 1, sure, 1 - sure) for method, p in by_method.items()}
    return Predicted(labels, by_method, {method: np.stack([1 - p, p], axis=1) for method, p in positive.items()})


def baselines(labels: np.ndarray) -> dict[str, Baseline]:
    guessed = np.random.default_rng(2).integers(0, 2, len(labels))
    predictions = {"majority": np.zeros_like(labels), "stratified": guessed, "tfidf": labels}
    return {name: Baseline(predicted, 700) for name, predicted in predictions.items()}


def training(trainable: int) -> dict[str, float]:
    return {
        "epochs_trained": 3,
        "best_epoch": 2,
        "trainable_parameters": trainable,
        "trainable_body_parameters": trainable - 770,
        "trainable_head_parameters": 770,
        "total_parameters": 22_800_000,
        "trainable_percent": 100 * trainable / 22_800_000,
    }


def evaluate(test: Predicted | None = None, transfer=("products", "tweets"), training=training, names=CLASSES) -> str:
    """Write everything to the current folder."""
    curve = pd.DataFrame({"epoch": [1, 2, 3], "f1": [0.7, 0.8, 0.79], "train_loss": [0.6, 0.4, 0.3]})
    test = test or predicted(300, seed=0)
    return write_evaluation(
        test=test,
        transfer={name: predicted(50, seed=place + 1) for place, name in enumerate(transfer)},
        setting=Setting(names, Bootstrap(samples=500, confidence=0.95, seed=13), baselines(test.labels), 10),
        training={m: training(n) for m, n in zip(METHODS, (22_000_000, 148_226, 298_370), strict=True)},
        checkpoint_bytes={"full": 3 * 2**20, "lora": 2**19, "adapter": 1_234_567},
        curves=dict.fromkeys(METHODS, curve),
    )


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> tuple[Path, str]:
    """A folder in which three methods that learned are evaluated, and what was printed; tests only read it."""
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, evaluate()


@pytest.fixture
def shown(evaluated, monkeypatch) -> str:
    """What was printed, in the folder with all files."""
    folder, shown = evaluated
    monkeypatch.chdir(folder)
    return shown


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def metrics(method: str) -> dict:
    return json.loads(Path(f"metrics/details/{method}.json").read_text())


def test_all_files_are_written_and_the_same_when_written_again(folder):
    evaluate()
    first = written(folder)
    assert set(first) == FILES
    evaluate()
    assert written(folder) == first


def test_the_metric_files_have_the_agreed_keys_in_order_and_only_numbers(shown):
    for method in METHODS:
        values, details = json.loads(Path(f"metrics/{method}.json").read_text()), metrics(method)
        assert list(values) == HEADLINE
        assert all(type(value) in (int, float) for value in values.values())
        assert list(details) == KEYS
        for key in ("accuracy", "precision", "recall", "f1", "f1_low", "f1_high"):
            assert values[key] == round(details[key], 4)
        assert values["size_mib"] == pytest.approx(details["checkpoint_mib"], abs=0.005)
        assert values["trainable"] == details["trainable_parameters"]


def test_the_baselines_have_scores_of_their_own_predictions(shown):
    found = json.loads(Path("metrics/baseline.json").read_text())
    keys = {name: [*SCORES, "training_rows"] for name in ("majority", "stratified", "tfidf")}
    assert {name: list(values) for name, values in found.items()} == keys
    labels = predicted(300, seed=0).labels
    majority = {"accuracy": np.mean(labels == 0), "recall": 0.5, "f1": np.mean(labels == 0) / (1 + np.mean(labels == 0))}
    assert found["majority"] == pytest.approx(found["majority"] | majority, abs=1e-6)
    assert found["tfidf"]["f1_low"] == found["tfidf"]["f1"] == 1


def test_the_numbers_are_those_of_the_predictions(shown):
    test, tweets = predicted(300, seed=0), predicted(50, seed=2)
    f1 = {method: f1_score(test.labels, p, average="macro") for method, p in test.by_method.items()}
    for method in METHODS:
        m = metrics(method)
        assert m["f1"] == pytest.approx(f1[method], abs=1e-6)
        assert m["accuracy"] == pytest.approx(np.mean(test.labels == test.by_method[method]), abs=1e-6)
        assert m["f1_low"] < m["f1"] < m["f1_high"]
        assert m["f1_minus_full"] == pytest.approx(f1[method] - f1["full"], abs=1e-6)
        assert m["f1_minus_full_low"] <= m["f1_minus_full"] <= m["f1_minus_full_high"]
        expected = f1_score(tweets.labels, tweets.by_method[method], average="macro")
        assert m["transfer_tweets_f1"] == pytest.approx(expected, abs=1e-6)
    assert metrics("lora")["checkpoint_mib"] == 0.5
    assert metrics("adapter")["checkpoint_mib"] == 1.1774
    assert metrics("adapter")["mcnemar_p"] < 1e-3


def test_full_fine_tuning_does_not_differ_from_itself(shown):
    m = metrics("full")
    assert [m[f"f1_minus_full{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]
    assert m["mcnemar_p"] == 1
    assert "-0.0" not in Path("metrics/full.json").read_text()


def test_without_transfer_sets_there_are_no_keys_for_them(folder):
    evaluate(transfer=())
    assert list(metrics("lora")) == [key for key in KEYS if not key.startswith("transfer")]


def test_the_numbers_of_a_method_do_not_depend_on_a_third_one(folder):
    evaluate()
    before = {method: metrics(method) for method in METHODS}
    test = predicted(300, seed=0)
    evaluate(scored(test.labels, {**test.by_method, "adapter": 1 - test.by_method["adapter"]}))
    assert metrics("full") == before["full"] and metrics("lora") == before["lora"]
    assert metrics("adapter") != before["adapter"]


def test_differences_from_chance_are_those_of_the_baselines(shown):
    test = predicted(300, seed=0)
    for name in ("majority", "stratified"):
        chance = f1_score(test.labels, baselines(test.labels)[name].predictions, average="macro")
        for method in METHODS:
            m = metrics(method)
            assert m[f"f1_minus_{name}"] == pytest.approx(m["f1"] - chance, abs=2e-6)
            assert 0 < m[f"f1_minus_{name}_low"] < m[f"f1_minus_{name}"] < m[f"f1_minus_{name}_high"]
            assert m["learned"] is True


@pytest.mark.parametrize(
    ("failing", "kind"),
    [("full", "majority"), ("full", "random"), ("lora", "minority"), ("adapter", "majority"), ("adapter", "random")],
)
def test_a_method_that_learned_nothing_is_named_first_and_not_compared(failing, kind, folder):
    test = predicted(300, seed=0)
    generator = np.random.default_rng(9)
    constant = {"majority": np.zeros(300, int), "minority": np.ones(300, int), "random": generator.integers(0, 2, 300)}
    shown = evaluate(scored(test.labels, {**test.by_method, failing: constant[kind]}))
    label = METHOD_LABELS[failing]
    assert shown.startswith(f"WARNING: {label[0].upper()}{label[1:]} ") and "LEARN" in shown.splitlines()[0]
    assert f"Nothing can be concluded about {label}" in shown
    assert [method for method in METHODS if not metrics(method)["learned"]] == [failing]
    *_, full, lora, adapter = shown.splitlines()
    compared = {name: "+" in line or "-" in line for name, line in {"lora": lora, "adapter": adapter}.items()}
    assert compared == {name: failing not in (name, "full") for name in ("lora", "adapter")}
    assert "full fine-tuning" in full


def test_a_class_that_is_never_predicted_is_named(folder):
    labels = np.repeat([0, 1, 2], 60)
    test = Predicted(labels, dict.fromkeys(METHODS, np.repeat([0, 1, 1], 60)), dict.fromkeys(METHODS, np.full((180, 3), 1 / 3)))
    shown = evaluate(test, transfer=(), names=["good", "bad", "so-so"])
    assert shown.startswith("WARNING: Full fine-tuning DID NOT LEARN EVERY CLASS. It never predicts 1 of 3 classes: so-so.")
    assert metrics("lora")["never_predicted"] == ["so-so"] and metrics("lora")["learned"] is False


def test_where_all_learned_there_is_no_warning(shown):
    assert "WARNING" not in shown


def test_confusion_data_has_a_row_per_text_and_the_report_the_class_names(shown):
    with open("plots/confusion/lora.csv", newline="") as file:
        header, *rows = csv.reader(file)
    test = predicted(300, seed=0)
    assert header == ["actual", "predicted"]
    assert rows == [[CLASSES[a], CLASSES[p]] for a, p in zip(test.labels, test.by_method["lora"], strict=True)]
    report = Path("reports/lora.txt").read_text()
    assert report.startswith("LoRA on the test set, 300 rows\n")
    assert "macro avg" in report and f"{metrics('lora')['f1']:.4f}" in report
    assert all(name in report for name in CLASSES)


def test_the_tradeoff_data_repeats_the_metrics(shown):
    table = pd.read_csv("plots/tradeoff.csv")
    assert list(table.columns) == ["method", "trainable_parameters", "f1", "f1_low", "f1_high"]
    for row in table.to_dict("records"):
        m = metrics(row.pop("method"))
        assert row == {key: m[key] for key in row}


def test_what_is_printed_shows_every_matrix_and_a_line_per_method(shown):
    test = predicted(300, seed=0)
    for name in ("full fine-tuning", "LoRA", "adapter"):
        assert f"{name} on the test set" in shown
    hits = int(np.sum((test.labels == 1) & (test.by_method["lora"] == 1)))
    matrix = shown.split("LoRA on the test set\n")[1].splitlines()[:3]
    assert matrix[0].split()[-3:] == ["negative", "positive", "recall"]
    support = int(np.sum(test.labels))
    assert matrix[2].split() == ["positive", str(support - hits), str(hits), f"{hits / support:.4f}"]
    *_, last = shown.splitlines()
    assert last.split()[0] == "adapter" and "298,370" in last and f"{metrics('adapter')['f1']:.4f}" in last


def test_a_missing_training_number_is_an_error(folder):
    with pytest.raises(KeyError, match="trainable_parameters"):
        evaluate(training=lambda trainable: {"epochs_trained": 1, "best_epoch": 1})
