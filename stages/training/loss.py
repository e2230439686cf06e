"""The loss of a classifier, exact where a batch is cut into micro-batches."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn


class ClassificationLoss:
    """Cross entropy of one micro-batch as its part of the mean over the whole batch of an optimizer step.

    Formula: sum_i -c[y_i] log softmax(logits_i)[y_i] / N with N = `num_items_in_batch`, the rows of all its micro-batches in all
    processes, so that gradients add up to the large batch's also where micro-batches differ in size, and c the class weights.
    The Trainer's own evaluation loss comes from here too, class weights included; what is reported is the plain cross entropy
    of the predictions.

    Shapes: outputs.logits (B, K), labels (B,), c (K,).
    """

    def __init__(self, class_weights: torch.Tensor | None = None):
        self.class_weights = class_weights

    def __call__(self, outputs, labels: torch.Tensor, num_items_in_batch) -> torch.Tensor:
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs.logits
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        return nn.functional.cross_entropy(logits, labels, weights, reduction="sum") / num_items_in_batch


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> torch.Tensor:
    """Return c[k] = N / (K n_k), shape (K,), for labels (N,) of which n_k have class k (King and Zeng 2001).

    Every class then has the same share of the loss, and the mean weight of a row is 1, so that learning rates keep their meaning.
    """
    counts = np.bincount(labels, minlength=num_classes)
    return torch.tensor(len(labels) / (num_classes * counts), dtype=torch.float32)
