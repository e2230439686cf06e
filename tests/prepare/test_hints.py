"""What is said about the data, and that nothing is said about ordinary data."""

import numpy as np

from stages.prepare.hints import Looks, part_hints, row_hints

TEXTS = {"train": 100, "validation": 10, "test": 20}
ORDINARY = {
    **{f"{part}_distinct_encodings": count for part, count in TEXTS.items()},
    **{f"{part}_{key}": 0.01 for part in TEXTS for key in ("unknown_token_share", "truncated_share")},
    "leaking_rows_after_truncation": {"train_validation": 0, "train_test": 0, "validation_test": 0},
    "rows_read": 140,
    **{f"dropped_{rule}": 2 for rule in ("empty", "duplicate", "conflicting")},
}
COUNTS = np.array([[50, 50], [5, 5], [10, 10]])


def looks(texts: list[str], labels: list[int] | None = None) -> list[str]:
    seen = Looks(["no", "yes", "good"])
    batches = seen.watch([texts[:2], texts[2:]], np.array(labels or [0] * len(texts)))
    assert [text for batch in batches for text in batch] == texts
    return seen.sentences()


def test_nothing_is_said_about_ordinary_data():
    assert part_hints(ORDINARY, TEXTS, 128) == [] == row_hints(ORDINARY, COUNTS, ["no", "yes"], ("train", "test"))
    assert looks(["a good film", "bad", "Où est-il ? Là-bas.", "NÃO É BOM", "非常好", "très bien", "Âge d'or"]) == []


def test_what_the_tokenizer_loses_is_said_with_the_threshold():
    said = part_hints(ORDINARY | {"train_unknown_token_share": 0.99, "test_unknown_token_share": 0.06}, TEXTS, 128)
    assert len(said) == 1 and said[0].startswith("Unknown tokens: 99% in train, 6% in test (said above 5%).")
    said = part_hints(ORDINARY | {"train_truncated_share": 0.97}, TEXTS, 128)
    assert len(said) == 1 and said[0].startswith("Truncated texts: 97% in train (said above 10%).") and "128 tokens" in said[0]
    said = part_hints(ORDINARY | {"train_distinct_encodings": 9}, TEXTS, 128)
    assert said == ["Different texts have the same tokens: 100 in train become 9. The model cannot tell these apart."]
    leaks = {"train_validation": 0, "train_test": 12, "validation_test": 1}
    said = part_hints(ORDINARY | {"leaking_rows_after_truncation": leaks}, TEXTS, 128)
    assert len(said) == 1 and "12 rows of test with train, 1 rows of test with validation" in said[0]


def test_a_class_that_nearly_all_rows_have_is_said():
    said = row_hints(ORDINARY, np.array([[99, 9901], [10, 990], [20, 1980]]), ["spam", "ham"], ("train",))
    assert len(said) == 1 and said[0].startswith("99% of the training rows are 'ham'")


def test_classes_of_few_rows_are_said_by_split():
    said = row_hints(ORDINARY, np.array([[50, 50], [4, 50], [50, 50]]), ["no", "yes"], ("train",))
    assert said == ["Classes with fewer than 5 rows in validation (1): 'no' (4). F1 of so few is chance."]


def test_a_given_split_with_other_shares_is_said():
    counts = np.array([[90, 60], [50, 50], [10, 190]])
    said = row_hints(ORDINARY, counts, ["no", "yes"], ("train", "test"))
    assert said == ["The classes have other shares in test than in train: 'no' is 5% there and 60% in train."]
    assert row_hints(ORDINARY, counts, ["no", "yes"], ("train",)) == []


def test_many_dropped_rows_are_said():
    said = row_hints(ORDINARY | {"dropped_duplicate": 60}, COUNTS, ["no", "yes"], ("train",))
    assert said == ["Cleaning dropped 64 of 140 rows: 2 empty, 2 with two different labels, 60 duplicates."]
    said = row_hints(ORDINARY | {"dropped_in_other_split": 5}, COUNTS, ["no", "yes"], ("train", "test"))
    assert len(said) == 1 and said[0].startswith("5 rows have a text that is in another given split too")


def test_texts_that_are_not_texts_are_said():
    assert looks(["17", "18", "a good film"])[0].startswith("67% of the texts are a single word or number, such as '17'")
    assert looks(["emoción", "así es", "no está"]) == []


def test_texts_that_contain_their_label_are_said():
    texts = ["no, I did not", "YES it is", "yes please", "a Good film", "good book"]
    assert looks(texts, [1, 0, 0, 0, 1]) == []
    assert looks(texts[1:], [1, 1, 2, 2])[0].startswith("100% of the texts contain the name of their own class")
    assert looks(["no it is"] * 3, [0, 0, 0]) == []  # too short a name to tell


def test_a_wrong_encoding_is_said():
    for text in ("una gran emoción".encode().decode("cp1252"), "it\u2019s fine".encode().decode("cp1252"), "caf\ufffd au lait"):
        assert "wrong encoding" in looks([text, "a good film"])[0] and repr(text)[1:-1] in looks([text, "a good film"])[0]
