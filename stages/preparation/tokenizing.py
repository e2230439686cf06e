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

BATCH = 1000  # texts per call of the tokenizer and rows per record batch
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


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> tuple[list[list[int]], np.ndarray]:
    """Return the token ids of each text, and how many tokens it had before truncation, shape (N,).

    Special tokens are included and counted; ids are truncated to `max_length` and not padded.
    """
    ids, lengths = [], []
    for batch in _batches(texts):
        whole = _token_ids(tokenizer, batch)
        lengths += map(len, whole)
        longer = [i for i, tokens in enumerate(whole) if len(tokens) > max_length]
        if longer:
            cut = _token_ids(tokenizer, [batch[i] for i in longer], truncation=True, max_length=max_length)
            for i, tokens in zip(longer, cut, strict=True):
                whole[i] = tokens
        ids += whole
    return ids, np.array(lengths, dtype=np.int64)


def write_arrow(path: Path, rows: Sequence[Row], input_ids: Sequence[list[int]]) -> None:
    """Write rows and their token ids as an Arrow IPC stream, which `datasets.Dataset.from_file` maps into memory.

    The stream holds no metadata, so that equal rows give equal bytes.
    """
    columns = [
        pa.array([row.text for row in rows], pa.string()),
        pa.array([row.label for row in rows], pa.int64()),
        pa.array(input_ids, pa.list_(pa.int32())),
        pa.array(map(len, input_ids), pa.int32()),
    ]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), max_chunksize=BATCH)


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str], **truncation) -> list[list[int]]:
    """Token ids without padding; a saved tokenizer's own settings for padding and truncation are overruled."""
    options = {"truncation": False, **truncation}
    return tokenizer(texts, padding=False, return_attention_mask=False, verbose=False, **options)["input_ids"]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    starts = range(0, len(texts), BATCH)
    for start in tqdm(starts, desc="tokenizing", unit=f"x{BATCH}", disable=None, leave=False):
        yield list(texts[start : start + BATCH])
