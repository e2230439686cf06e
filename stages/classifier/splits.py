"""Read what `prepare` wrote: tokenized splits, class names, and the collator that pads a batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from pyarrow import ArrowInvalid
from transformers import AutoTokenizer, DataCollatorWithPadding, PreTrainedTokenizerBase

from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.paths import BASE_MODEL, PROCESSED

SPLITS = ("train", "validation", "test")


def load_split(name: str) -> Dataset:
    """Return one tokenized split, mapped from disk without copying it into memory.

    Args:
        name: "train", "validation", "test", or "transfer_" followed by the name of a transfer set.

    Columns: text, label (class index), input_ids (at most `data.max_length` tokens, unpadded), length (tokens).

    Raises:
        UserError: the split has not been prepared, or the file is damaged.
    """
    path = PROCESSED / f"{name}.arrow"
    if not path.is_file():
        raise UserError(f"{path}: no such split; run the stage prepare first")
    try:
        return Dataset.from_file(str(path))
    except (ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a table of tokenized texts ({error}); run the stage prepare again") from None


def column(rows: Dataset, name: str) -> np.ndarray:
    """Return a column of numbers, shape (N,), in the type that it has on disk.

    `rows[name]` would create a Python object for every number, which takes 11 seconds for 700,000 rows.
    """
    return rows.with_format("arrow")[name][:].to_numpy()


def load_labels() -> list[str]:
    """Return the class names; the position of a name is its class index.

    Raises:
        UserError: data/processed/labels.json is missing or damaged.
    """
    return _names("labels")


def load_transfer_names() -> list[str]:
    """Return the names of the transfer sets, which no method trains on; none for user data."""
    return _names("transfer")


def _names(kind: str) -> list[str]:
    path = PROCESSED / "labels.json"
    try:
        names = read_json(path)[kind]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage prepare first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: has no list of {kind} ({type(error).__name__}: {error}); run the stage prepare again") from None
    return names


def load_tokenizer(folder: Path = BASE_MODEL) -> PreTrainedTokenizerBase:
    """Return the tokenizer saved in `folder`, which pads on the right, whatever was saved with it.

    The encoders count positions from the left, and a classifier reads the first token: a text padded on the left would be
    another text in every batch.

    Raises:
        UserError: there is none, or it has no vocabulary or no padding token.
    """
    if not folder.is_dir():  # transformers would look for a model of that name on the Hub
        raise UserError(f"{folder}: no such folder; run the stage fetch first")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a damaged file makes the tokenizers library raise a bare Exception
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{folder}: no tokenizer can be loaded from there ({reason})") from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # transformers builds this from a folder without a vocabulary
        raise UserError(f"{folder}: its tokenizer knows no words; save tokenizer.json or the vocabulary there too")
    if tokenizer.pad_token is None:
        raise UserError(f"{folder}: its tokenizer has no padding token; set pad_token and save the tokenizer again")
    _pad_on_the_right(tokenizer)
    return tokenizer


def _pad_on_the_right(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.padding_side = "right"
    fast = getattr(tokenizer, "backend_tokenizer", None)
    padding = fast.padding if fast is not None else None
    if fast is not None and padding and padding["direction"] != "right":  # of tokenizer.json, for those who read that alone
        fast.enable_padding(**{**padding, "direction": "right"})


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return what a user should know about a tokenizer that `load_tokenizer` returned: one line each, none for the usual ones."""
    notes = []
    if tokenizer.init_kwargs.get("padding_side") == "left":
        notes.append("its tokenizer pads on the left; here, and in what is saved, texts are padded on the right")
    if tokenizer.truncation_side == "left":
        notes.append("its tokenizer truncates on the left: of a text that is too long, the end is read")
    if not tokenizer("")["input_ids"]:
        notes.append("its tokenizer puts no special token before a text: the head reads the first word in place of [CLS]")
    return notes


def make_collator(tokenizer: PreTrainedTokenizerBase) -> Callable:
    """Return a function that pads a list of rows to the longest of them.

    Rows have `input_ids` and, for training, `label`; the batch has input_ids and attention_mask (B, T) and labels (B,).
    Other columns are left out.
    """
    pad = DataCollatorWithPadding(tokenizer, return_tensors="pt")

    def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
        return dict(pad([{key: row[key] for key in ("input_ids", "label") if key in row} for row in rows]))

    return collate
