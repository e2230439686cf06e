"""Save a trained method as a folder that `from_pretrained` loads."""

import shutil
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.quiet import quiet_libraries


def save_checkpoint(model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights (safetensors), configuration and tokenizer to `folder`, and nothing else.

    The folder is written beside its place and moved there whole. A PEFT model saves its own parameters and the head
    only; the model's configuration is saved with it, since it names the classes.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    with quiet_libraries():
        model.save_pretrained(temporary)
    if isinstance(model, PeftModel):
        model.get_base_model().config.save_pretrained(temporary)
        (temporary / "README.md").unlink(missing_ok=True)  # PEFT's unfilled model card
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
