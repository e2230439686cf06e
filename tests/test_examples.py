"""The committed examples are what their script makes."""

import runpy
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_script_makes_the_committed_files(tmp_path):
    runpy.run_path(str(EXAMPLES / "make_examples.py"))["main"](tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [path.as_posix() for path in made] == [
        "reviews.csv",
        "tiny-bert/config.json",
        "tiny-bert/model.safetensors",
        "tiny-bert/tokenizer.json",
        "tiny-bert/tokenizer_config.json",
    ]
    for path in made:
        assert (tmp_path / path).read_bytes() == (EXAMPLES / path).read_bytes(), path


def test_the_encoder_is_random_and_not_constant():
    weights = load_file(EXAMPLES / "tiny-bert/model.safetensors")
    matrices = [weight for weight in weights.values() if weight.ndim > 1]
    assert len(matrices) == 3 + 2 * 6 + 1
    assert all(abs(np.std(weight) - 0.02) < 0.005 for weight in matrices)


def test_the_texts_are_balanced_and_all_different():
    lines = (EXAMPLES / "reviews.csv").read_text().splitlines()[1:]
    assert len({line.casefold() for line in lines}) == len(lines) == 240
    assert sum(line.endswith(",positive") for line in lines) == 120
