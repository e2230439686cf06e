"""Save a trained method as a folder that `from_pretrained` loads."""

from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.errors import UserError
from stages.files import write_json
from stages.folders import replaced_folder
from stages.machine import weights_sha256
from stages.quiet import quiet_libraries

BASE_RECORD = "base_model.json"


def save_checkpoint(model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights (safetensors), configuration and tokenizer to `folder`, and nothing else.

    The folder is written beside its place and moved there whole. A PEFT model saves its own parameters and the head
    only; the model's configuration is saved with it, since it names the classes, and base_model.json, which says by the hash
    of its weights which base model it belongs to.

    Raises:
        UserError: the disk is full or may not be written.
    """
    try:
        with replaced_folder(folder) as temporary:
            with quiet_libraries():
                model.save_pretrained(temporary)
            if isinstance(model, PeftModel):
                model.get_base_model().config.save_pretrained(temporary)
                (temporary / "README.md").unlink(missing_ok=True)  # PEFT's unfilled model card
                base = Path(model.active_peft_config.base_model_name_or_path)
                write_json(temporary / BASE_RECORD, {"path": base.as_posix(), "weights_sha256": weights_sha256(base)})
            tokenizer.save_pretrained(temporary)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: the model could not be saved: {error}; make room and run the stage again") from None
