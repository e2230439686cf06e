"""Turn texts into token ids, and write both to files whose bytes depend on nothing else."""

from array import array
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from stages.classifier.config import read_config
from stages.classifier.families import family_of
from stages.project.errors import UserError

SCHEMA = pa.schema([("text", pa.string()), ("label", pa.int64()), ("input_ids", pa.list_(pa.int32())), ("length", pa.int32())])


def check_model(max_length: int, tokenizer: PreTrainedTokenizerBase, model: Path) -> None:
    """Compare the tokenizer with the encoder in folder `model`.

    Raises:
        UserError: texts of `max_length` tokens are longer than the encoder can read, the tokenizer has more tokens than the
            encoder has embeddings, or the encoder's family is not supported.
    """
    config = read_config(model)
    try:
        longest = family_of(config.model_type).longest_input(config)
    except TypeError as error:  # a required number is null
        raise UserError(f"{model}/config.json: cannot tell how many tokens the model reads ({error}); save it again") from None
    if max_length > longest:
        raise UserError(f"data.max_length: {max_length}, but {model} reads at most {longest} tokens")
    if max_length > tokenizer.model_max_length:
        raise UserError(
            f"data.max_length: {max_length}, but {model} reads at most {tokenizer.model_max_length} tokens, says "
            f"model_max_length in its tokenizer_config.json; the model itself reads {longest}: correct the one that is wrong"
        )
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"{model}: its tokenizer has {len(tokenizer):,} tokens, its config.json has vocab_size {config.vocab_size:,}; "
            "save the tokenizer that belongs to the model"
        )
    # there may be gaps between the ids
    token, last = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if last >= config.vocab_size:
        raise UserError(
            f"{model}: its tokenizer gives {token!r} the id {last:,}, but the ids of the model's embeddings end at "
            f"{config.vocab_size - 1:,} (vocab_size {config.vocab_size:,} in config.json); save the tokenizer that belongs to it"
        )


class Encoded(NamedTuple):
    """What a tokenizer made of N texts.

    Attributes:
        lengths: tokens before truncation, special tokens included, shape (N,).
        digests: 64-bit digests of the token ids after truncation, shape (N,), uint64.
        tokens: number of tokens after truncation, without the special ones.
        unknown: how many of these stand for something that the vocabulary lacks.
    """

    lengths: np.ndarray
    digests: np.ndarray
    tokens: int
    unknown: int


def write_tokenized(
    path: Path, batches: Iterable[list[str]], labels: np.ndarray, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Encoded:
    """Write texts, labels and token ids as an Arrow IPC stream; return what a tokenizer made of the texts.

    `datasets.Dataset.from_file` maps the stream into memory. It has no metadata, so that equal rows give equal bytes. Each
    batch is tokenized and written before the next is read, so that a large file never is in memory as a whole.

    Args:
        batches: lists of texts.
        labels: class indices of all of them, shape (N,).
    """
    lengths, digests, tokens, unknown, done = [np.empty(0, dtype=np.int64)], array("Q"), 0, 0, 0
    unknown_id = tokenizer.unk_token_id  # None: the vocabulary can write every text, byte by byte
    special = np.array([token for token in tokenizer.all_special_ids if token != unknown_id], dtype=np.int32)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
        for texts in tqdm(batches, desc="tokenizing", unit="batch", disable=None, leave=False):
            ids, whole = encode(tokenizer, texts, max_length)
            column = pa.array(ids, pa.list_(pa.int32()))
            columns = [
                pa.array(texts, pa.string()),
                pa.array(labels[done : done + len(texts)], pa.int64()),
                column,
                pa.array(map(len, ids), pa.int32()),
            ]
            writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
            lengths.append(whole)
            digests.extend(map(_digest, ids))
            flat = column.flatten().to_numpy()
            tokens += int(np.sum(~np.isin(flat, special)))
            unknown += 0 if unknown_id is None else int(np.sum(flat == unknown_id))
            done += len(texts)
    return Encoded(np.concatenate(lengths), np.array(digests, dtype=np.uint64), tokens, unknown)


def _digest(ids: list[int]) -> int:
    return int.from_bytes(blake2b(array("i", ids).tobytes(), digest_size=8).digest(), "little")


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_length: int) -> tuple[list[list[int]], np.ndarray]:
    """Return the token ids of each text, and its number of tokens before truncation, shape (N,).

    Special tokens are included and counted; ids are truncated to `max_length` and not padded.
    """
    ids = _token_ids(tokenizer, texts)
    lengths = np.array([len(tokens) for tokens in ids], dtype=np.int64)
    longer = np.flatnonzero(lengths > max_length).tolist()
    if longer:
        cut = _token_ids(tokenizer, [texts[i] for i in longer], truncation=True, max_length=max_length)
        for i, tokens in zip(longer, cut, strict=True):
            ids[i] = tokens
    return ids, lengths


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str], **truncation: Any) -> list[list[int]]:
    """Token ids without padding; overrides padding and truncation as saved with the tokenizer."""
    options = {"truncation": False, **truncation}
    return tokenizer(texts, padding=False, return_attention_mask=False, verbose=False, **options)["input_ids"]
