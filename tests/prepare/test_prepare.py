"""The prepare stage on small files: what it writes, that nothing leaks, that its bytes are stable."""

import os
import subprocess
import sys
from csv import writer
from pathlib import Path

import pytest
import yaml
from datasets import Dataset

from stages.classifier.splits import load_labels, load_split, load_transfer_names
from stages.prepare import stage as prepare
from stages.prepare.rated import MAIN_FILE, TRANSFER_FILES
from stages.project.errors import UserError
from stages.project.files import content_hash, read_json, sha256_of
from stages.texts.normal_form import identity
from tests.imports import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture
def run_prepare(tmp_path, monkeypatch):
    """A function that runs the stage with the committed parameters, some values of `data` replaced."""
    monkeypatch.chdir(tmp_path)
    Path("data/fetched").mkdir(parents=True)
    Path("models").mkdir()
    Path("models/base").symlink_to(EXAMPLES / "tiny-bert")

    def run(**data) -> dict:
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content["data"] |= data
        Path("params.yaml").write_text(yaml.safe_dump(content))
        prepare.main()
        return read_json("metrics/data.json")

    return run


@pytest.fixture
def csv(run_prepare):
    Path("data/fetched/reviews.csv").write_bytes((EXAMPLES / "reviews.csv").read_bytes())
    return run_prepare


@pytest.fixture
def rated(run_prepare):
    """Film, product and tweet texts: per file 40 clear ones and one of each kind that is dropped."""
    for number, name in enumerate([MAIN_FILE, *TRANSFER_FILES.values()]):
        lines = [f"{i}\t{3 if i % 2 else -3}\tsource {number} text {i}" for i in range(40)]
        lines += ["x\t0.4\tnear tie", "x\t1\t ", f"x\t3\tSOURCE {number}  TEXT 1", "x\t3\tshared", "x\t1\tboth", "x\t-1\tBoth"]
        Path("data/fetched", name).write_text("\r\n".join(lines))
    return run_prepare


def texts_of(*names: str) -> list[str]:
    return [text for name in names for text in load_split(name)["text"]]


def test_csv_gives_three_splits_and_no_transfer_sets(csv):
    metrics = csv(source="csv")
    assert (load_labels(), load_transfer_names()) == (["negative", "positive"], [])
    assert [load_split(name).num_rows for name in prepare.SPLITS] == [168, 24, 48]
    files = {f"{name}.arrow" for name in prepare.SPLITS} | {"labels.json"}
    assert {path.name for path in Path("data/processed").iterdir()} == files
    assert metrics["classes"] == [{"name": name, "train": 84, "validation": 12, "test": 24} for name in load_labels()]
    assert not any("transfer" in key for key in metrics)


def test_rows_hold_unpadded_truncated_ids(csv):
    metrics = csv(source="csv", max_length=10)
    rows = [row for name in prepare.SPLITS for row in load_split(name)]
    assert max(row["length"] for row in rows) == 10
    assert all(len(row["input_ids"]) == row["length"] and 0 not in row["input_ids"] for row in rows)
    assert 0 < metrics["truncated_percent"] < 100 and metrics["token_length_max"] > 10


def test_no_text_is_in_two_splits_or_in_a_transfer_set_and_the_main_data(rated):
    metrics = rated()
    assert load_transfer_names() == ["products", "tweets"]
    main = texts_of(*prepare.SPLITS)
    assert len({identity(text) for text in main}) == len(main) == 41
    for name in load_transfer_names():
        transfer = texts_of(f"transfer_{name}")
        assert len(transfer) == 40 and not {identity(text) for text in transfer} & {identity(text) for text in main}
        assert metrics[f"transfer_{name}_dropped_in_main"] == 1
    for prefix in ("", "transfer_products_", "transfer_tweets_"):
        dropped = {rule: metrics[f"{prefix}dropped_{rule}"] for rule in ("empty", "near_tie", "conflicting", "duplicate")}
        assert dropped == {"empty": 1, "near_tie": 1, "conflicting": 2, "duplicate": 1}


def test_labels_are_the_signs_of_the_ratings(rated):
    rated()
    for row in (row for name in (*prepare.SPLITS, "transfer_tweets") for row in load_split(name)):
        number = row["text"].split()[-1]
        assert row["label"] == (1 if number == "shared" else int(number) % 2)


@pytest.mark.parametrize("limit", [0, 30])
def test_every_row_read_is_dropped_or_in_a_split(rated, limit):
    metrics = rated(limit=limit)
    for prefix, parts in {"": prepare.SPLITS, "transfer_tweets_": ["transfer_tweets"]}.items():
        dropped = sum(count for key, count in metrics.items() if key.startswith(f"{prefix}dropped_"))
        rows = sum(metrics[f"{part}_rows"] for part in parts)
        assert rows + dropped == metrics[f"{prefix}rows_read"] == 46
        assert not limit or rows == limit
        assert rows == sum(Dataset.from_file(f"data/processed/{part}.arrow").num_rows for part in parts)


def test_another_source_leaves_no_file_of_the_last_one(rated):
    rated()
    Path("data/fetched/reviews.csv").write_bytes((EXAMPLES / "reviews.csv").read_bytes())
    rated(source="csv")
    assert not list(Path("data/processed").glob("transfer_*"))


@pytest.mark.slow
def test_the_bytes_depend_on_the_data_and_the_parameters_alone(csv):
    def hashes() -> dict[str, str]:
        return {path.name: sha256_of(path) for path in [*Path("data/processed").iterdir(), Path("metrics/data.json")]}

    csv(source="csv")
    first = hashes()
    os.utime("data/fetched/reviews.csv", (0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "5"}
    subprocess.run([sys.executable, "-m", "stages.prepare"], env=environment, check=True, capture_output=True)
    assert hashes() == first


def test_a_fault_leaves_the_old_splits_and_says_what_is_wrong(csv):
    csv(source="csv")
    with pytest.raises(UserError, match=r"data\.max_length: 500, but models/base reads at most 128 tokens"):
        csv(source="csv", max_length=500)
    with pytest.raises(UserError, match=r"data\.limit: 4 rows are too few for 2 classes; .* raise it to 20 or more"):
        csv(source="csv", limit=4)
    assert load_split("train").num_rows == 168


def test_a_margin_that_leaves_no_rows_is_a_fault(rated):
    with pytest.raises(UserError, match=r"2 of 2 classes .*'negative' \(0\).*dropped 46 of 46 rows: 1 empty, 45 near ties"):
        rated(neutral_margin=3.5)


@pytest.mark.parametrize("names", [("0", "1"), ("negative", "positive")])
def test_product_reviews_in_two_columns_need_no_change(run_prepare, names):
    rows = "".join(f'"product {i}, as described",{names[i % 10 == 0]}\n' for i in range(200))
    Path("data/fetched/reviews.csv").write_text(f"text,label\n{rows}")
    metrics = run_prepare(source="csv")
    assert load_labels() == list(names)
    assert [row["test"] for row in metrics["classes"]] == [36, 4] and metrics["test_majority_percent"] == 90.0
    assert metrics["train_majority_percent"] == metrics["validation_majority_percent"] == 90.0


def write_csv(rows: list[tuple[str, str]], name: str = "reviews") -> None:
    with Path(f"data/fetched/{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer(file).writerows([("text", "label"), *rows])


def test_a_limit_leaves_a_given_test_set_whole(run_prepare):
    for name, count in (("train", 160), ("test", 40)):
        write_csv([(f"{name} {i}", str(i % 2)) for i in range(count)], name)
    metrics = run_prepare(source="csv", limit=80)
    assert [metrics[f"{name}_rows"] for name in prepare.SPLITS] == [70, 10, 40]
    assert metrics["dropped_limit"] == 80
    assert all(text.startswith("test ") for text in texts_of("test"))


def test_ordinary_data_raise_no_question(csv, capsys):
    assert csv(source="csv")["warnings"] == [] and "warning" not in capsys.readouterr().out


def test_what_is_unusual_is_printed_at_the_end_and_recorded(run_prepare, capsys):
    write_csv([("😍" * (1 + i % 3) + str(i), ("positive", "Positive", "negative")[i % 3]) for i in range(90)])
    metrics = run_prepare(source="csv")
    printed = capsys.readouterr().out.splitlines()
    assert printed[-len(metrics["warnings"]) :] == [f"warning: {sentence}" for sentence in metrics["warnings"]]
    assert [sentence.partition(":")[0] for sentence in metrics["warnings"][:1]] == [
        "Class names that differ only in spelling are different classes"
    ]
    for start in ("Unknown tokens: 100% in train", "Different texts have the same tokens", "Leakage"):
        assert any(sentence.startswith(start) for sentence in metrics["warnings"])
    assert metrics["train_unknown_token_share"] == 1.0 and metrics["train_distinct_encodings"] < 10


def test_what_was_noticed_is_printed_although_the_stage_fails(run_prepare, capsys):
    write_csv([(f"a text {i}", "a;b") for i in range(20)] + [(f"text {i}", "a") for i in range(20)] + [("one more", "b")])
    with pytest.raises(UserError, match=r"1 of 3 classes .* 'b' \(1\)"):
        run_prepare(source="csv")
    assert "warning: 20 of 41 rows have labels that look like lists, such as 'a;b'" in capsys.readouterr().out
    assert not Path("data/processed").exists()


def test_texts_that_truncation_makes_equal_are_counted_as_leakage(run_prepare):
    write_csv([(f"the kettle and the lamp and the tent {'on' if i % 2 else 'off'} {i}", str(i % 2)) for i in range(200)])
    whole, short = run_prepare(source="csv"), run_prepare(source="csv", max_length=5)
    assert sum(whole["leaking_rows_after_truncation"].values()) < sum(short["leaking_rows_after_truncation"].values())
    assert short["leaking_rows_after_truncation"] == {"train_validation": 20, "train_test": 40, "validation_test": 40}
    assert short["train_truncated_share"] == 1.0 and short["train_distinct_encodings"] == 1
    said = " ".join(short["warnings"])
    assert "Truncated texts: 100% in train" in said and "40 rows of test with train" in said


@pytest.mark.parametrize(("action", "names"), [("drop", ["a", "b"]), ("merge", ["a", "b", "other"])])
def test_rare_classes_are_dropped_or_merged_and_counted(run_prepare, action, names):
    rows = [(f"text {i}", "a" if i % 2 else "b") for i in range(100)]
    write_csv(rows + [(f"rare {i}", f"rare {i % 6}") for i in range(18)])
    with pytest.raises(UserError, match="6 of 8 classes have too few rows"):
        run_prepare(source="csv")
    metrics = run_prepare(source="csv", rare_classes=action)
    assert load_labels() == names == [row["name"] for row in metrics["classes"]]
    assert metrics["rare_classes"] == [{"name": f"rare {k}", "rows": 3} for k in range(6)]
    assert metrics["dropped_rare_class"] == (18 if action == "drop" else 0)
    kept = sum(metrics[f"{split}_rows"] for split in prepare.SPLITS)
    assert kept == 118 - metrics["dropped_rare_class"]
    assert metrics["warnings"][0].startswith("6 rare class(es) with 18 row(s) were")
    texts = {row["text"]: names[row["label"]] for split in prepare.SPLITS for row in load_split(split)}
    expected = dict(rows) | ({f"rare {i}": "other" for i in range(18)} if action == "merge" else {})
    assert texts == expected


def test_labels_in_two_unicode_forms_are_one_class(run_prepare):
    write_csv([(f"text {i}", ("caf\u00e9", "cafe\u0301", "th\u00e9", " th\u00e9  ")[i % 4]) for i in range(80)])
    metrics = run_prepare(source="csv")
    assert load_labels() == ["caf\u00e9", "th\u00e9"] and metrics["train_rows"] == 56


def test_every_file_read_is_recorded_with_its_hash(csv, rated):
    metrics = csv(source="csv", limit=100)
    source = metrics["source"]
    assert source["source"] == "csv" and source["path"] == "examples/reviews.csv"
    assert source["files"] == [{"path": "examples/reviews.csv", "sha256": sha256_of(EXAMPLES / "reviews.csv")}]
    parameters = source["parameters"]
    assert parameters["data.limit"] == 100 and parameters["data.csv.label_column"] == "label" and parameters["seed"] == 13
    assert not any(key.startswith("data.hub.") for key in parameters)
    paths = [f"data/processed/{split}.arrow" for split in prepare.SPLITS]
    # the hashes are those of metrics/provenance/
    assert metrics["outputs"] == [{"path": path, "sha256": content_hash(Path(path))} for path in paths]
    package = rated(source="package")["source"]
    assert package["path"] is None and "data.csv.path" not in package["parameters"]
    assert {"path": f"data/fetched/{MAIN_FILE}", "sha256": sha256_of(Path("data/fetched", MAIN_FILE))} in package["files"]


def test_texts_are_stored_on_the_disk_of_the_checkout_and_not_left_there(csv, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    csv(source="csv")
    assert load_split("train").num_rows == 168 and not list(Path(".cache").iterdir())
