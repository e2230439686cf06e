"""The one reader of an encoder's config.json."""

from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig

from stages.classifier.families import check_family
from stages.project.errors import UserError


def read_config(folder: Path) -> PreTrainedConfig:
    """Return the configuration saved in `folder`; code that it may name is never run.

    Raises:
        UserError: it is missing or damaged, or its family is not supported.
    """
    check_family(folder, str(folder))
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{folder}: transformers cannot read the model configuration in config.json ({reason})") from None
