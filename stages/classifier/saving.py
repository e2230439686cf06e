"""Save a trained method as a folder that `from_pretrained` loads."""

import copy
from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.classifier.four_bit import NAME, packed_layers
from stages.classifier.low_precision import frozen_dtype_of
from stages.classifier.quiet import quiet_libraries
from stages.project.errors import UserError
from stages.project.files import read_json, replaced_folder, sha256_of, write_json

BASE_RECORD = "base_model.json"


def save_checkpoint(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    max_length: int | None = None,
) -> None:
    """Write weights (safetensors), configuration and tokenizer to `folder`, and nothing else.

    The folder is written beside its place and then moved there. A PEFT model saves only its own parameters and the head, and
    with them the model's configuration, which names the classes, and base_model.json, which identifies the base model by the
    hash of its weights, and the precision in which training kept them, if it was a lower one.

    Args:
        max_length: number of tokens to which training truncated texts. It is saved as the tokenizer's `model_max_length`, so
            that `tokenizer(texts, truncation=True)` does the same wherever the folder is loaded; `tokenizer` itself is unchanged.

    Raises:
        UserError: the disk is full or not writable.
    """
    try:
        with replaced_folder(folder) as temporary:
            with quiet_libraries():
                model.save_pretrained(str(temporary))
            if isinstance(model, PeftModel):
                encoder = model.get_base_model()
                assert isinstance(encoder, PreTrainedModel)
                encoder.config.save_pretrained(temporary)
                (temporary / "README.md").unlink(missing_ok=True)  # PEFT's model card, which is a blank form
                base = Path(model.active_peft_config.base_model_name_or_path)
                record = {"path": base.as_posix(), "weights_sha256": weights_sha256(base)}
                if (frozen := NAME if packed_layers(model) else frozen_dtype_of(model)) != "same":
                    record["frozen_dtype"] = frozen
                write_json(temporary / BASE_RECORD, record)
            _truncating_to(tokenizer, max_length).save_pretrained(temporary)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: the model could not be saved: {error}; make room and run the stage again") from None


def _truncating_to(tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> PreTrainedTokenizerBase:
    if max_length is None:
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_max_length = max_length
    return tokenizer


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the safetensors weights in `folder`; of their concatenation in order of name where there are several."""
    return sha256_of(*sorted(folder.glob("*.safetensors")))


def saved_labels(folder: Path) -> list[str]:
    """Return the K class names of the checkpoint in `folder`, in order of index, from its config.json.

    Raises:
        OSError, ValueError, KeyError, TypeError: the file is missing or damaged.
    """
    id2label = read_json(folder / "config.json")["id2label"]
    return [id2label[str(index)] for index in range(len(id2label))]
