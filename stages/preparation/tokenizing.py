"""Turn texts into token ids, and write them to files whose bytes depend on nothing else."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from huggingface_hub.errors import StrictDataclassError
from tqdm import tqdm
from transformers import AutoConfig, PreTrainedTokenizerBase

from stages.errors import UserError
from stages.files import read_json
from stages.methods.families import family_of
from stages.preparation.rows import Row

BATCH = 1000  # rows of a call of the tokenizer, and of a record batch
SCHEMA = pa.schema([("text", pa.string()), ("label", pa.int64()), ("input_ids", pa.list_(pa.int32())), ("length", pa.int32())])


def check_model(max_length: int, tokenizer: PreTrainedTokenizerBase, model: Path) -> None:
    """Compare the tokenizer with the encoder in folder `model`.

    Raises:
        UserError: texts of `max_length` tokens are longer than the encoder can read, the tokenizer knows more tokens than the
            encoder has embeddings, or the encoder's family is not supported.
    """
    try:
        content = read_json(model / "config.json")
        family = family_of(content["model_type"])
        config = AutoConfig.for_model(**content)  # with the family's defaults for what is not written there
        longest = min(tokenizer.model_max_length, family.longest_input(config))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{model}/config.json: no model configuration ({reason}); run fetch again") from None
    if max_length > longest:
        raise UserError(f"data.max_length: {max_length}, but {model} reads at most {longest} tokens")
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"{model}: its tokenizer knows {len(tokenizer):,} tokens, its config.json has vocab_size {config.vocab_size:,}; "
            "save the tokenizer that belongs to the model"
        )


def write_tokenized(
    path: Path, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> np.ndarray:
    """Write rows and their token ids as an Arrow IPC stream, and return how many tokens each had before truncation, shape (N,).

    `datasets.Dataset.from_file` maps the stream into memory. It holds no metadata, so that equal rows give equal bytes. Rows are
    tokenized and written batch by batch: the ids of a large file are never all in memory.
    """
    lengths = [np.empty(0, dtype=np.int64)]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
        for batch in _batches(rows):
            ids, whole = encode(tokenizer, [row.text for row in batch], max_length)
            lengths.append(whole)
            columns = [
                pa.array([row.text for row in batch], pa.string()),
                pa.array([row.label for row in batch], pa.int64()),
                pa.array(ids, pa.list_(pa.int32())),
                pa.array(map(len, ids), pa.int32()),
            ]
            writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
    return np.concatenate(lengths)


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_length: int) -> tuple[list[list[int]], np.ndarray]:
    """Return the token ids of each text, and how many tokens it had before truncation, shape (N,).

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


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str], **truncation) -> list[list[int]]:
    """Token ids without padding; a saved tokenizer's own settings for padding and truncation are overruled."""
    options = {"truncation": False, **truncation}
    return tokenizer(texts, padding=False, return_attention_mask=False, verbose=False, **options)["input_ids"]


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    starts = range(0, len(rows), BATCH)
    for start in tqdm(starts, desc="tokenizing", unit=f"x{BATCH}", disable=None, leave=False):
        yield rows[start : start + BATCH]
