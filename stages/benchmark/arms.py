"""The four models whose inference is compared; LoRA is among them twice, unmerged and merged into the base weights."""

import numpy as np
import torch
from torch import nn

from stages.memory.inputs import RandomInputs
from stages.methods.checkpoint import load_checkpoint
from stages.project.errors import UserError
from stages.project.paths import MODELS

REFERENCE = "full"
TRAINED_AS = {REFERENCE: "full", "lora": "lora", "lora_merged": "lora", "adapter": "adapter"}  # by arm, the method of its weights
ARMS = tuple(TRAINED_AS)
MERGE_TOLERANCE = 1e-3  # in a logit; float32 rounding over six layers is around 1e-6


def load_arms(device: torch.device, acceleration: bool) -> dict[str, nn.Module]:
    """Load the trained models from their folders, in evaluation mode, by arm."""
    return {
        arm: load_checkpoint(MODELS / method, arm == "lora_merged", acceleration).to(device) for arm, method in TRAINED_AS.items()
    }


@torch.inference_mode()
def merge_difference(unmerged: nn.Module, merged: nn.Module, inputs: RandomInputs, shapes: list[tuple[int, int]]) -> float:
    """Return max |logit of `unmerged` - logit of `merged`| over one random batch of each shape (B, T).

    Raises:
        UserError: it is more than `MERGE_TOLERANCE`: the two are not the same model.
    """
    difference = 0.0
    for batch_size, length in shapes:
        batch = inputs.batch(batch_size, length)
        gap = (unmerged(**batch).logits - merged(**batch).logits).abs().max()
        difference = np.maximum(difference, gap.item())  # np.maximum keeps a NaN, max() would drop it
    if not difference <= MERGE_TOLERANCE:
        raise UserError(
            f"{MODELS / 'lora'}: merged and unmerged LoRA differ by {difference:.3g} in a logit, at most {MERGE_TOLERANCE:g} is "
            "expected; the checkpoint does not fit the base model, train it again (`dvc repro --force train_lora`)"
        )
    return float(difference)
