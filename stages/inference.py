"""Logits of a data set, computed in order of length so that little of a batch is padding."""

from collections.abc import Callable

import numpy as np
import torch
from datasets import Dataset


@torch.inference_mode()
def predict_logits(model: torch.nn.Module, dataset: Dataset, collator: Callable, batch_size: int) -> np.ndarray:
    """Return the logits (N, K) of the N rows of `dataset`, in its own order, as float32.

    The rows are run sorted by length, longest first: texts of one batch then differ little in length, and a batch that does
    not fit into memory fails at once. The model is left in evaluation mode.
    """
    model.eval()
    device = next(model.parameters()).device
    order = np.argsort(-np.asarray(dataset["length"]), kind="stable")
    logits = None
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = collator([{"input_ids": row["input_ids"]} for row in map(dataset.__getitem__, indices.tolist())])
        out = model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits.float().cpu().numpy()
        if logits is None:
            logits = np.empty((len(order), out.shape[1]), dtype=np.float32)
        logits[indices] = out
    return logits
