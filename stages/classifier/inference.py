"""Logits of many texts, computed in order of length so that little of a batch is padding."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from datasets import Dataset

from stages.classifier.low_precision import in_precision
from stages.classifier.splits import column


def predict_logits(
    model: torch.nn.Module, dataset: Dataset, collator: Callable, batch_size: int, precision: str = "fp32"
) -> np.ndarray:
    """Return the logits (N, K) of the N rows of `dataset`, in the order of the rows, as float32 (see `sorted_logits`)."""
    lengths = column(dataset, "length")
    return sorted_logits(model, lengths, lambda index: dataset[index]["input_ids"], collator, batch_size, precision)


@torch.inference_mode()
def sorted_logits(
    model: torch.nn.Module,
    lengths: Sequence[int] | np.ndarray,
    token_ids: Callable[[int], list[int]],
    collator: Callable,
    batch_size: int,
    precision: str = "fp32",
) -> np.ndarray:
    """Return the logits (N, K) of N texts, in the order given, as float32.

    The texts are run sorted by length, longest first: texts of one batch then have similar lengths, and a batch that does
    not fit into memory fails at once. The model is left in evaluation mode.

    Args:
        lengths: tokens of each text, shape (N,).
        token_ids: a function from the position of a text to its token ids.
        precision: of the forward pass, fp32, bf16 or fp16 (`autocast`).

    Raises:
        ValueError: there is no text.
    """
    model.eval()
    device = next(model.parameters()).device
    order = np.argsort(-np.asarray(lengths), kind="stable")
    logits: np.ndarray | None = None
    forward = in_precision(model, precision, device)
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = collator([{"input_ids": token_ids(index)} for index in indices.tolist()])
        out = forward(**{name: tensor.to(device) for name, tensor in batch.items()}).logits.float().cpu().numpy()
        if logits is None:
            logits = np.empty((len(order), out.shape[1]), dtype=np.float32)
        logits[indices] = out
    if logits is None:
        raise ValueError("there must be at least one text, received none")
    return logits
