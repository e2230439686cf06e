"""Classify any number of texts with a saved model, one chunk at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedConfig

from stages.classifier.families import family_of
from stages.classifier.faster.allocator import keep_freed_memory
from stages.classifier.inference import sorted_logits
from stages.classifier.low_precision import check_precision
from stages.classifier.splits import load_tokenizer, make_collator
from stages.methods.checkpoint import load_checkpoint
from stages.project.errors import UserError
from stages.project.machine import pick_device
from stages.texts.normal_form import normalise

CHUNK = 8192  # texts in memory at a time, which are sorted by length together


class Prediction(NamedTuple):
    """A text, the name of its most probable class, and the probabilities (K,) of all classes, float64."""

    text: str
    label: str
    probabilities: np.ndarray


class Classifier:
    """The model saved in `folder`, on the GPU if there is one.

    A text is normalized and truncated as in training: Unicode NFC, single spaces between words and none around them. A
    `Prediction` has the text as it came.

    Attributes:
        names: the K class names in order of index.
        max_length: number of tokens to which texts are truncated, the same as in training.

    Args:
        merge: fold LoRA's update into the base weights, so that it costs no time in the forward pass.
        precision: of the forward pass, fp32, bf16 or fp16; probabilities are always computed from the logits in float64.

    Raises:
        UserError: this machine cannot compute in `precision`; the folder has no checkpoint or a damaged one, or its base model
            is missing or a different one.
    """

    def __init__(self, folder: Path, merge: bool = False, precision: str = "fp32"):
        device = pick_device()
        check_precision(precision, "--precision", device)
        if device.type == "cpu":
            keep_freed_memory()
        self.folder = folder
        self.model = load_checkpoint(folder, merge=merge, precision=precision).to(device)
        self.precision = precision
        self.tokenizer = load_tokenizer(folder)
        self.collator = make_collator(self.tokenizer)
        config = self.model.config
        assert isinstance(config, PreTrainedConfig)  # torch types every attribute of a module as a tensor or a module
        names = {int(index): name for index, name in (config.id2label or {}).items()}
        self.names = [names[index] for index in range(len(names))]
        # a tokenizer saved without a limit reports a number larger than any encoder takes
        self.max_length = min(self.tokenizer.model_max_length, family_of(config.model_type).longest_input(config))

    def predict(self, texts: Iterable[str], batch_size: int) -> Iterator[Prediction]:
        """Yield a `Prediction` for each text, in the order of `texts`.

        Raises:
            UserError: the weights give logits that are not finite.
        """
        texts = iter(texts)
        while chunk := list(islice(texts, CHUNK)):
            probabilities = softmax(self.logits(chunk, batch_size))
            best = probabilities.argmax(axis=1)
            yield from (
                Prediction(text, self.names[index], row) for text, index, row in zip(chunk, best, probabilities, strict=True)
            )

    def logits(self, texts: list[str], batch_size: int) -> np.ndarray:
        """Return the logits (N, K) of the N texts as float32."""
        as_trained = [normalise(text) for text in texts]
        encoded = self.tokenizer(
            as_trained, truncation=True, max_length=self.max_length, padding=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        lengths = list(map(len, encoded))
        logits = sorted_logits(self.model, lengths, encoded.__getitem__, self.collator, batch_size, self.precision)
        broken = int(np.sum(~np.isfinite(logits).all(axis=1)))
        if broken:
            raise UserError(f"{self.folder}: {broken} of {len(texts)} texts have logits that are not finite; train it again")
        return logits


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return p_k = exp(z_k) / sum_j exp(z_j) of each row z of `logits` (N, K), computed in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
