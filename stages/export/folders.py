"""Make the folder of each method that loads elsewhere."""

import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from transformers import PreTrainedModel

from stages.classifier.quiet import quiet_libraries
from stages.classifier.saving import BASE_RECORD
from stages.export.card import MARK, MODULE
from stages.export.standalone import standalone_module
from stages.export.terms import read_front_matter
from stages.methods.checkpoint import PEFT_FILES, load_checkpoint
from stages.project.errors import UserError
from stages.project.files import read_json, replaced_folder, write_text
from stages.project.paths import SHARDS

CARD = "README.md"
NOT_IN_A_MERGED_FOLDER = {*PEFT_FILES, CARD, "config.json"}


def export(folder: Path, target: Path, card: str) -> None:
    """Write the checkpoint in `folder` (models/{method}) to `target`, whole or not at all.

    full: a copy. lora: the update merged into plain weights. adapter: a copy, with its base model in base/ and its class in
    bottleneck_adapter.py. `card` becomes README.md.

    Raises:
        UserError: no such checkpoint, a damaged one, or the disk is full.
    """
    merge = folder.name == "lora"
    model = load_checkpoint(folder, merge=merge)  # also of the others: a damaged checkpoint is not exported
    try:
        with replaced_folder(target) as temporary:
            left_out = NOT_IN_A_MERGED_FOLDER if merge else {CARD}
            _copy(folder, temporary, lambda name: name not in left_out)
            if merge:
                assert isinstance(model, PreTrainedModel)  # nothing of PEFT is left of it
                with quiet_libraries():
                    model.save_pretrained(temporary)
            if folder.name == "adapter":
                base = Path(read_json(folder / BASE_RECORD)["path"])
                (temporary / "base").mkdir()
                _copy(base, temporary / "base", lambda name: name in ("config.json", SHARDS) or name.endswith(".safetensors"))
                write_text(temporary / f"{MODULE}.py", standalone_module())
            write_text(temporary / CARD, card)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{target}: could not be written: {error}; make room and export again") from None


def _copy(source: Path, target: Path, wanted: Callable[[str], bool]) -> None:
    for path in sorted(source.iterdir()):
        if path.is_file() and wanted(path.name):
            shutil.copyfile(path, target / path.name)


def check_target(target: Path) -> None:
    """Refuse a folder that holds anything but an export, such as a model from elsewhere: it would be replaced.

    Raises:
        UserError: it does; nothing was changed.
    """
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not _is_export(target):
        raise UserError(f"{target}: exists and is not an exported model; move it away, or export elsewhere with --to")


def _is_export(folder: Path) -> bool:
    return MARK in read_front_matter(folder / CARD)
