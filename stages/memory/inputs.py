"""Random inputs of a given shape, the same for every measured method."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class RandomInputs:
    """Draws batches for one model.

    Attributes:
        vocabulary: number of token ids.
        classes: K.
        seed: the same shape always gets the same batch.
        device: of the tensors.
    """

    vocabulary: int
    classes: int
    seed: int
    device: torch.device

    def batch(self, batch_size: int, length: int) -> dict[str, torch.Tensor]:
        """Token ids (B, T), drawn uniformly from the vocabulary, and a mask (B, T) of ones."""
        generator = torch.Generator().manual_seed(self.seed)
        ids = torch.randint(0, self.vocabulary, (batch_size, length), generator=generator)
        return {"input_ids": ids.to(self.device), "attention_mask": torch.ones_like(ids).to(self.device)}

    def labels(self, batch_size: int) -> torch.Tensor:
        """Classes (B,): 0, 1, ..., K - 1, 0, 1, ..."""
        return (torch.arange(batch_size) % self.classes).to(self.device)
