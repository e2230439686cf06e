"""Save a trained method as a folder that `from_pretrained` loads."""

import copy
from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.errors import UserError
from stages.files import write_json, write_text
from stages.folders import replaced_folder
from stages.machine import weights_sha256
from stages.quiet import quiet_libraries

BASE_RECORD = "base_model.json"
CARD = "README.md"


def save_checkpoint(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    card: str | None = None,
    max_length: int | None = None,
) -> None:
    """Write weights (safetensors), configuration, tokenizer and model card to `folder`, and nothing else.

    The folder is written beside its place and moved there whole. A PEFT model saves its own parameters and the head
    only; the model's configuration is saved with it, since it names the classes, and base_model.json, which says by the hash
    of its weights which base model it belongs to.

    Args:
        card: content of README.md; None: no such file.
        max_length: tokens to which training cut its texts. It is saved as the tokenizer's `model_max_length`, so that
            `tokenizer(texts, truncation=True)` does the same wherever the folder is loaded. `tokenizer` itself stays as it is.

    Raises:
        UserError: the disk is full or may not be written.
    """
    try:
        with replaced_folder(folder) as temporary:
            with quiet_libraries():
                model.save_pretrained(temporary)
            if isinstance(model, PeftModel):
                model.get_base_model().config.save_pretrained(temporary)
                (temporary / CARD).unlink(missing_ok=True)  # PEFT's unfilled model card
                base = Path(model.active_peft_config.base_model_name_or_path)
                write_json(temporary / BASE_RECORD, {"path": base.as_posix(), "weights_sha256": weights_sha256(base)})
            _cut_to(tokenizer, max_length).save_pretrained(temporary)
            if card is not None:
                write_text(temporary / CARD, card)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: the model could not be saved: {error}; make room and run the stage again") from None


def _cut_to(tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> PreTrainedTokenizerBase:
    if max_length is None:
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_max_length = max_length
    return tokenizer
