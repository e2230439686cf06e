"""Head only: the frozen encoder's features, computed once, and the same head trained on them.

What full fine-tuning, LoRA and adapters must beat. The encoder is in evaluation mode: its own dropout is off, that of the head
is on in training. Training code, loss, order of the rows, mixout and AWP are those of the other methods: a text's token ids are
replaced by one number, the row of a table of features, and the table stands where the encoder was.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from stages.classifier.families import head_names
from stages.classifier.splits import column
from stages.project.errors import UserError
from stages.project.files import replaced_file
from stages.project.schema import Params

NAME = "head"
CHECKED = 16  # texts on which the table must give the model's own logits
TOLERANCE = 1e-4


class FeatureTable(nn.Module):
    """Stands where the encoder was: texts are row numbers, and the output is the encoder's at the first token.

    Formula: h_i = encoder(text_i)[0], the last layer's output at the first token; the encoder's pooler, if it has one, then
    computes what it always does from h_i.

    Shapes: features (N, C), input_ids (B, 1), last_hidden_state (B, 1, C), pooler_output (B, C).
    """

    features: torch.Tensor

    def __init__(self, features: torch.Tensor, pooler: nn.Module | None):
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        if pooler is not None:
            self.pooler = pooler

    def forward(self, input_ids: torch.Tensor, **unused: Any) -> BaseModelOutputWithPooling:
        hidden = self.features[input_ids[:, :1]]
        pooler = getattr(self, "pooler", None)
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=None if pooler is None else pooler(hidden))


class HeadOnly:
    """The method `head`, as `stages.methods.method.Method`: only the head is trained, on `features` (N, C)."""

    NAME = NAME

    def __init__(self, features: torch.Tensor):
        self.features = features

    def attach(self, base: PreTrainedModel, params: Params) -> PreTrainedModel:
        """Freeze `base`, apart from the head, and put the table of features in the place of its encoder."""
        base.requires_grad_(False)
        for name in head_names(base):
            base.get_submodule(name).requires_grad_(True)
        encoder = base.base_model
        setattr(base, base.base_model_prefix, FeatureTable(self.features, getattr(encoder, "pooler", None)))
        return base


def as_row_numbers(rows: Dataset, first: int) -> Dataset:
    """Return `rows` with input_ids [first], [first + 1], ...: the rows of the table; all else stays, their lengths too."""
    numbers = pa.array(np.arange(first, first + len(rows), dtype=np.int32)[:, None].tolist(), pa.list_(pa.int32()))
    return Dataset(pa.table({"input_ids": numbers, "label": column(rows, "label"), "length": column(rows, "length")}))


@torch.inference_mode()
def compute_features(model: PreTrainedModel, rows: Dataset, collator: Callable, batch_size: int) -> torch.Tensor:
    """Return h (N, C) of the N rows, float32, in their order; the model is left in evaluation mode.

    Raises:
        UserError: the head of this family reads more than the first token, so that its logits cannot come from h.
    """
    model.eval()
    encoder, ids = model.base_model, rows["input_ids"][:]
    order = np.argsort(-column(rows, "length"), kind="stable")
    features: torch.Tensor | None = None
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = collator([{"input_ids": ids[index]} for index in chosen.tolist()])
        found = encoder(**{name: tensor.to(model.device) for name, tensor in batch.items()}).last_hidden_state[:, 0].float().cpu()
        features = torch.empty(len(order), found.shape[1]) if features is None else features
        features[torch.from_numpy(chosen)] = found
    assert features is not None
    _check(model, rows.select(range(min(CHECKED, len(rows)))), collator, features)
    return features


def _check(model: PreTrainedModel, rows: Dataset, collator: Callable, features: torch.Tensor) -> None:
    """Compare the logits of the first rows with those that come from the table."""
    batch = collator([{"input_ids": ids} for ids in rows["input_ids"][:]])
    own = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits.float().cpu()
    name, encoder = model.base_model_prefix, model.base_model
    setattr(model, name, FeatureTable(features.to(model.device), getattr(encoder, "pooler", None)))
    try:
        theirs = model(input_ids=torch.arange(len(rows), device=model.device)[:, None]).logits.float().cpu()
    finally:
        setattr(model, name, encoder)
    if not torch.allclose(own, theirs, atol=TOLERANCE):
        raise UserError(
            "the study's method head needs an encoder whose head reads the first token only; that of a "
            f"{model.config.model_type} model does not; leave head out of the methods in study/params.yaml"
        )


def kept_features(path: Path, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Return the features in the file at `path`, computed once if it is not there, also where two cells ask at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            with replaced_file(path) as temporary:
                save_file({"features": compute()}, temporary)
    return load_file(path)["features"]
