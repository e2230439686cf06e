"""The counts beside those of the papers are the closed formulas."""

import pytest

from experiments.published_counts import CASES, OURS, QUERY_VALUE, Case, count, encoder, figure, measure, row

SIZES = {
    "DistilBERT": (768, 6),
    "BERT-base": (768, 12),
    "BERT-large": (1024, 24),
    "RoBERTa-base": (768, 12),
    "RoBERTa-large": (1024, 24),
}


@pytest.mark.parametrize("case", [*CASES, *OURS], ids=lambda case: f"{case.encoder}-{case.method}-{case.target}-{case.size}")
def test_the_count_is_the_closed_formula(case, params):
    """LoRA: projections x 2 C r; an adapter: 2 C m + m + C; a LayerNorm: 2 C; each times the layers."""
    width, layers = SIZES[case.encoder]
    if case.method == "lora":
        expected = layers * (2 if case.target == QUERY_VALUE else 4) * 2 * width * case.size
    else:
        adapters = 2 if case.target == "houlsby" else 1
        expected = layers * adapters * (2 * width * case.size + case.size + width)
    expected += layers * 2 * 2 * width if case.norms else 0
    assert count(case, params)[0] == expected


def test_feed_forward_targets_count_both_linear_layers(params):
    for target, per_layer in (("feed_forward", 2 * (768 + 3072)), ("all", 8 * 768 + 2 * (768 + 3072))):
        assert count(Case("BERT-base", "lora", target, 4), params)[0] == 12 * 4 * per_layer


@pytest.mark.parametrize(
    ("name", "million"), [("DistilBERT", 66.36), ("BERT-base", 109.48), ("BERT-large", 335.14), ("RoBERTa-base", 124.06)]
)
def test_the_encoders_have_their_known_sizes(name, million, params):
    assert count(Case(name, "lora", "attention", 8), params)[1] / 1e6 == pytest.approx(million, abs=0.01)
    assert (encoder(name).hidden_size, encoder(name).num_hidden_layers) == SIZES[name]


def test_figures_that_only_round_agree_to_their_last_digit(params):
    for case in CASES:
        if case.published and case.note.startswith("rounding"):
            trained, total = count(case, params)
            assert abs(measure(case, trained, total) - figure(case.published)) <= 0.05e6


def test_the_difference_is_relative_to_the_papers_figure(params):
    cells = row(CASES[0], params)
    assert cells[3] == 294_912 and cells[5] == "0.3M" and cells[7] == pytest.approx(100 * (294_912 / 300_000 - 1), abs=0.05)
