"""What the report says of LoRA and the adapters is what was trained."""

from dataclasses import replace

import pytest

from stages.report import latency, methods
from stages.report.language import LANGUAGES, Language


@pytest.fixture
def says(facts, with_params):
    """A function that returns what is said with other parameters of peft."""

    def say(code, **peft):
        changed = replace(facts, params=with_params(peft=peft))
        words = Language(code)
        return methods.lora(changed, words), methods.adapter(changed, words), latency.lines(changed, words).splitlines()

    return say


@pytest.mark.parametrize(
    ("peft", "said"),
    [
        ({}, ["(alpha / r) B A x", "attention projections query, key, value and output of every layer", "B = 0 at the start"]),
        ({"use_rslora": True}, ["(alpha / sqrt(r)) B A x", "rsLoRA (Kalajdzievski 2023)"]),
        ({"target": "feed_forward", "rank": 4}, ["rank 4", "on the linear layers of the feed-forward block of every layer"]),
        ({"target": "all"}, ["output and the linear layers of the feed-forward block"]),
        ({"use_dora": True}, ["DoRA (Liu et al. 2024)", "AWP leaves these vectors"]),
        ({"init": "pissa"}, ["PiSSA", "largest singular values"]),
        ({"init": "olora"}, ["OLoRA", "QR decomposition"]),
        ({"init": "orthogonal"}, ["B A = 0 at the start"]),
    ],
)
def test_of_lora(peft, said, says):
    english, _, _ = says("en", **peft)
    assert [part for part in said if part not in english] == []
    assert ("DoRA" in english, "rsLoRA" in english) == (bool(peft.get("use_dora")), bool(peft.get("use_rslora")))
    assert says("es", **peft)[0] != says("es")[0] or not peft


def test_of_the_adapter(says):
    said = {place: says("en", adapter=place, bottleneck=12, scaling=2.5)[1] for place in ("pfeiffer", "houlsby", "parallel")}
    assert all("bottleneck 12" in text for text in said.values())
    assert "in every feed-forward block" in said["pfeiffer"] and "every attention and every feed-forward" in said["houlsby"]
    assert "x + h + 2.5 up(relu(down(x)))" in said["parallel"] and "He et al. 2022" in said["parallel"]


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_each_adds_to_a_forward_pass(code, says):
    plain, other = says(code)[2], says(code, target="all", adapter="parallel")[2]
    dora = says(code, use_dora=True)[2]
    assert len(plain) == len(other) == len(dora) == 5
    assert [one == two for one, two in zip(plain, other, strict=True)] == [True, False, True, False, True]
    assert [one == two for one, two in zip(plain, dora, strict=True)] == [True, False, True, True, True]
