"""Random inputs of a given shape, the same for every method that is measured."""

from dataclasses import dataclass

import torch
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from stages.errors import UserError
from stages.methods.families import family_of


@dataclass(frozen=True)
class RandomInputs:
    """Draws batches for one model.

    Attributes:
        vocabulary: number of token ids.
        classes: K.
        seed: of the draw; the same shape always gets the same batch.
        device: where the tensors are put.
    """

    vocabulary: int
    classes: int
    seed: int
    device: torch.device

    def batch(self, batch_size: int, length: int) -> dict[str, torch.Tensor]:
        """Token ids (B, T), drawn evenly from the vocabulary, and a mask (B, T) that hides none of them."""
        generator = torch.Generator().manual_seed(self.seed)
        ids = torch.randint(0, self.vocabulary, (batch_size, length), generator=generator)
        return {"input_ids": ids.to(self.device), "attention_mask": torch.ones_like(ids).to(self.device)}

    def labels(self, batch_size: int) -> torch.Tensor:
        """Classes (B,), taken in turn."""
        return (torch.arange(batch_size) % self.classes).to(self.device)


def longest_input(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that the model takes and its tokenizer gives."""
    return min(family_of(config.model_type).longest_input(config), tokenizer.model_max_length)


def check_lengths(lengths: list[int], longest: int) -> None:
    """Raise a UserError if one of `lengths` (benchmark.lengths) is more than the model takes."""
    too_long = [length for length in lengths if length > longest]
    if too_long:
        raise UserError(
            f"benchmark.lengths: the model takes at most {longest} tokens, received {too_long}; give lengths up to {longest}"
        )
