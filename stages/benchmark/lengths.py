"""The length of the texts in the benchmark."""

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from stages.classifier.families import family_of
from stages.project.errors import UserError


def longest_input(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the largest number of tokens that the model accepts and its tokenizer produces."""
    return min(family_of(config.model_type).longest_input(config), tokenizer.model_max_length)


def check_lengths(lengths: list[int], longest: int) -> None:
    """Raise a UserError if one of `lengths` (benchmark.lengths) is more than the model accepts."""
    too_long = [length for length in lengths if length > longest]
    if too_long:
        raise UserError(
            f"benchmark.lengths: the model accepts at most {longest} tokens, received {too_long}; use lengths up to {longest}"
        )
