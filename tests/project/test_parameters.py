"""Reading params.yaml: what is accepted comes out as given, everything else is refused in one message."""

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.project.errors import UserError
from stages.project.parameters import load_params
from stages.project.schema import Params
from tests.imports import ROOT

GOOD = yaml.safe_load((ROOT / "params.yaml").read_text())
settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.load_profile("steady")


def leaves(tree: dict, prefix: tuple = ()) -> list[tuple]:
    paths = []
    for key, value in tree.items():
        paths += leaves(value, (*prefix, key)) if isinstance(value, dict) else [(*prefix, key)]
    return paths


def parent(tree: dict, path: tuple) -> dict:
    for key in path[:-1]:
        tree = tree[key]
    return tree


def changed(values: dict[str, object]) -> dict:
    """The good parameters with other values at dotted paths."""
    content = copy.deepcopy(GOOD)
    for path, value in values.items():
        parent(content, path.split("."))[path.split(".")[-1]] = value
    return content


@pytest.fixture
def refusal(tmp_path):
    """A function that writes params.yaml and returns the message with which it is refused, and leaves it as it was."""

    def refused(content) -> str:
        path = tmp_path / "params.yaml"
        data = (
            content if isinstance(content, bytes) else (content if isinstance(content, str) else yaml.safe_dump(content)).encode()
        )
        path.write_bytes(data)
        with pytest.raises(UserError) as error:
            load_params(path)
        assert path.read_bytes() == data
        return str(error.value)

    return refused


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"peft.rnak": 4}, ["peft.rnak: unknown key; the nearest known one is peft.rank", "received 4"]),
        ({"peft.rank": "eight"}, ["peft.rank", "valid integer", "received 'eight'"]),
        ({"peft.rank": True}, ["peft.rank", "valid integer", "received True"]),
        ({"peft.rank": 3, "peft.init": "orthogonal"}, ["peft.init: orthogonal needs an even rank, received rank 3"]),
        ({"peft.init": "loftq"}, ["peft.init", "'pissa'", "received 'loftq'"]),
        (
            {"peft.init": "pissa", "train.frozen_dtype": "nf4"},
            ["peft: init pissa changes the frozen weights", "frozen_dtype nf4"],
        ),
        (
            {"peft.init": "orthogonal", "train.frozen_dtype": "nf4"},
            ["peft: init orthogonal is not possible beside 4-bit weights", "frozen_dtype nf4", "default or gaussian"],
        ),
        (
            {"awp.enabled": True, "awp.target": "all", "train.frozen_dtype": "nf4"},
            ["awp: target all moves the frozen weights too", "frozen_dtype nf4", "set awp.target to trainable"],
        ),
        ({"peft": [1, 2]}, ["peft: a block of parameters was expected, received [1, 2]"]),
        ({"train.learning_rate.full": float("nan")}, ["train.learning_rate.full", "finite number", "received nan"]),
        ({"train.learning_rate.full": "fast"}, ["train.learning_rate.full", "valid number", "received 'fast'"]),
        ({"train.weight_decay": 10**400}, ["train.weight_decay", "received 1"]),
        (
            {"train.micro_batch_size": 64},
            ["train.micro_batch_size: batch_size must be a multiple", "batch_size 32 and micro_batch_size 64"],
        ),
        (
            {"train.micro_batch_size": 5},
            ["train.micro_batch_size: batch_size must be a multiple", "batch_size 32 and micro_batch_size 5"],
        ),
        (
            {"data.test_fraction": 0.3},
            ["data.test_fraction: train_fraction + validation_fraction + test_fraction must be 1, received 1.1"],
        ),
        (
            {"awp.window_end": 0.4},
            ["awp.window_end: window_start must be less than window_end", "window_start 0.5 and window_end 0.4"],
        ),
        ({"report.method": "prefix"}, ["report.method", "'full', 'lora' or 'adapter'", "received 'prefix'"]),
        ({"data.source": "hub"}, ["data.hub: source hub needs hub.revision", "received null", "git ls-remote"]),
        ({"model.hub.revision": None}, ["model.hub.revision", "valid string", "received None"]),
        (
            {"data.csv.text_column": "label"},
            ["data.csv.split_column: each column can serve one purpose only", "'label', 'label'"],
        ),
        ({"train.micro_batch_size": "most"}, ["train.micro_batch_size: must be an integer of 1 or more, or auto", "'most'"]),
        ({"train.launcher": "rm -r"}, ["train.launcher", "torchrun", "received 'rm -r'"]),
        (
            {"train.launcher": "torchrun --role='two"},
            ["train.launcher: must be a command with its options (No closing quotation)", "--role='two"],
        ),
        ({"plan.models": ["GPT-4"]}, ["plan.models.0", "'BERT-base'", "received 'GPT-4'"]),
        ({"benchmark.lengths": [16, "64"]}, ["benchmark.lengths.1", "valid integer", "received '64'"]),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(refusal, values, parts):
    message = refusal(changed(values))
    assert message.splitlines()[0].endswith("params.yaml: 1 fault(s)") and len(message.splitlines()) == 2
    assert [part for part in parts if part not in message] == []


def test_all_faults_are_listed_at_once_contradictions_too(refusal):
    content = changed(
        {"data.test_fraction": 0.3, "data.limit": -1, "train.micro_batch_size": 5, "train.epochs": "many", "awp.window_end": 0.1,
         "awp.epsilon": 0, "peft.rnak": 1}
    )  # fmt: skip
    del content["mixout"]
    message = refusal(content)
    assert "8 fault(s)" in message
    for place in ("data.limit", "train.epochs", "awp.epsilon", "peft.rnak", "mixout: missing"):
        assert message.count(f"\n  {place}") == 1
    assert "must be 1, received 1.1" in message
    assert "batch_size 32 and micro_batch_size 5" in message
    assert "window_start 0.5 and window_end 0.1" in message
    # a contradiction among wrong values is not claimed
    assert "window" not in refusal(changed({"awp.window_end": "late"})).replace("awp.window_end", "")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["a mapping of parameters was expected, received None"]),
        ("seed: [1", ["not valid YAML", "line 1"]),
        ("seed: 1\nseed: 2\n", ["duplicate key 'seed'", "line 2"]),
        ("seed: 2001-99-99\n", ["not valid YAML", "month must be in 1..12"]),
        ("[" * 5000, ["nested too deeply"]),
        (b"seed: \xe9\n", ["not UTF-8 text (byte 6 is 0xe9)"]),
        (b"seed: \x00\n", ["not valid YAML", "special characters are not allowed"]),
        ("1: 2\n", ["1: "]),
    ],
)
def test_what_is_not_a_mapping_of_parameters_is_refused(refusal, content, parts):
    message = refusal(content)
    assert [part for part in parts if part not in message] == []


def test_a_value_of_exponential_size_is_quoted_briefly(refusal):
    layers = "\n".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9) if i else 1}]" for i in range(40))
    assert len(refusal(layers)) < 20_000


def test_no_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="absent: no such file; run the command in the project's folder"):
        load_params(tmp_path / "absent")
    with pytest.raises(UserError, match="cannot be read as a file: Is a directory"):
        load_params(tmp_path)


def test_contradictions_deep_in_a_faulty_block_are_listed_too(refusal):
    message = refusal(changed({"data.csv.text_column": "label", "data.csv.path": "", "data.source": "hub", "data.limit": "x"}))
    for part in ("4 fault(s)", "data.csv.path", "data.limit", "data.csv.split_column: each column", "data.hub: source hub needs"):
        assert part in message


@pytest.mark.parametrize(
    "word", ["on", "no", "yes", "off", "true", "null", "~", "2024", "1.50", "0x1F", "1e3", "2024-01-01", "12:30"]
)
def test_the_name_of_a_column_is_what_is_written(tmp_path, word):
    """YAML sees truth values, numbers and dates, and DVC writes what `-S` gives without quotes."""
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("    label_column: label", f"    label_column: {word}"))
    data = load_params(tmp_path / "params.yaml").data
    assert data.csv.label_column == data.hub.label_column == word
    (tmp_path / "params.yaml").write_text(text.replace("    split_column: null", f"    split_column: {word}"))
    assert load_params(tmp_path / "params.yaml").data.csv.split_column == (None if word in ("null", "~") else word)


def test_a_column_that_must_be_named_may_be_called_null(tmp_path):
    """DVC writes null as nothing, and the word in quotes."""
    text = (ROOT / "params.yaml").read_text()
    for written in ("", '"null"'):
        (tmp_path / "params.yaml").write_text(text.replace("    text_column: text", f"    text_column: {written}"))
        assert load_params(tmp_path / "params.yaml").data.csv.text_column == "null"


@pytest.mark.parametrize(
    "launcher", ["python", "torchrun --standalone --nproc-per-node=2", "accelerate launch --cpu --num_processes=2"]
)
def test_launchers_and_auto_are_accepted(tmp_path, launcher):
    content = changed({"train.launcher": launcher, "train.micro_batch_size": "auto"})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    train = load_params(tmp_path / "params.yaml").train
    assert (train.launcher, train.micro_batch_size) == (launcher, "auto")


@pytest.mark.parametrize("spelling", ["5e-05", "5e-5", "'5e-05'", "5.0e-5", "0.00005"])
def test_every_spelling_of_a_number_is_accepted(tmp_path, spelling):
    text = (ROOT / "params.yaml").read_text().replace("full: 5.0e-5", f"full: {spelling}")
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml").train.learning_rate.full == 5e-5


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
    | st.sampled_from(["5e-05", "package", "csv", "full", "", 0, 1, 0.5, 32, 2**40])
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@st.composite
def mutated(draw) -> dict:
    """The good parameters with one to four keys deleted, renamed, replaced or added."""
    content = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(leaves(content) or [("seed",)]))
        place, key = parent(content, path), path[-1]
        action = draw(st.sampled_from(["delete", "rename", "replace", "add", "near"]))
        if action in ("delete", "rename") and key in place:
            old = place.pop(key)
            if action == "rename":
                place[draw(st.text(min_size=1, max_size=8) | st.integers())] = old
        elif action == "add":
            place[draw(st.text(max_size=8))] = draw(values)
        elif action == "near" and isinstance(place.get(key), float | int):  # often accepted
            place[key] = type(place[key])(place[key] * draw(st.sampled_from([0.5, 1, 2])))
        else:
            place[key] = draw(values)
    return content


def check(path) -> bool:
    """Whether the file at `path` is accepted; if so, as given and without contradictions, if not, by a message that names it."""
    message = None
    try:
        params = load_params(path)
    except UserError as error:
        message = str(error)
    if message is not None:
        assert message.startswith(str(path)) and len(message) < 20_000
        if "fault(s)" in message:
            count = int(message.split(" fault(s)")[0].split()[-1])
            assert count >= 1 and message.count("\n  ") >= count
        return False
    assert isinstance(params, Params)
    data, train, awp = params.data, params.train, params.awp
    assert data.train_fraction + data.validation_fraction + data.test_fraction == pytest.approx(1, abs=2e-6)
    assert train.micro_batch_size == "auto" or train.batch_size % train.micro_batch_size == 0
    assert 0 <= awp.window_start < awp.window_end <= 1
    text = path.read_text(encoding="utf-8")
    given_values, words = yaml.safe_load(text), yaml.load(text, Loader=yaml.BaseLoader)
    for leaf in leaves(params.model_dump()):
        value = parent(params.model_dump(), leaf)[leaf[-1]]
        written = parent(words if isinstance(value, str) else given_values, leaf)[leaf[-1]]  # a name is what is written
        assert value == (float(written) if isinstance(value, float) else written)
    return True


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("params") / "params.yaml"


@pytest.mark.slow
@settings(max_examples=400)
@given(content=mutated())
def test_any_change_is_accepted_as_given_or_refused_in_one_message(file, content):
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    check(file)


def test_the_changes_are_not_all_refused(file):
    """The property above would say little if nothing were accepted."""
    for content in (GOOD, changed({"train.batch_size": 64}), changed({"peft.rank": 4, "seed": 0})):
        file.write_text(yaml.safe_dump(content))
        assert check(file)


@pytest.mark.slow
@settings(max_examples=300)
@given(
    start=st.integers(0, 2700),
    end=st.integers(0, 60),
    text=st.text(max_size=12) | st.sampled_from([":", "\n  ", "- ", "&a *a", "{[", '"']),
)
def test_any_edit_of_the_text_is_accepted_or_refused(file, start, end, text):
    good = (ROOT / "params.yaml").read_text(encoding="utf-8")
    file.write_bytes((good[:start] + text + good[start + end :]).encode("utf-8", errors="surrogatepass"))
    check(file)


@settings(max_examples=200)
@given(content=st.binary(max_size=60))
def test_any_bytes_are_refused(file, content):
    file.write_bytes(content)
    assert not check(file)
