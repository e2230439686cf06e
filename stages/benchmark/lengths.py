"""How long the texts are that the benchmark measures."""

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from stages.classifier.families import family_of
from stages.project.errors import UserError


def longest_input(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that the model takes and its tokenizer gives."""
    return min(family_of(config.model_type).longest_input(config), tokenizer.model_max_length)


def check_lengths(lengths: list[int], longest: int) -> None:
    """Raise a UserError if one of `lengths` (benchmark.lengths) is more than the model takes."""
    too_long = [length for length in lengths if length > longest]
    if too_long:
        raise UserError(
            f"benchmark.lengths: the model takes at most {longest} tokens, received {too_long}; give lengths up to {longest}"
        )
