"""An encoder of the Hugging Face Hub at a pinned commit, and what every use of the Hub shares: cache and error messages."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, but that package has no __all__
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
    logging,
    validate_repo_id,
)

from stages.classifier.families import check_family
from stages.fetch.local import MODEL_SUFFIXES, copy_model
from stages.project.errors import UserError
from stages.project.paths import SCRATCH, SHARDS, WEIGHTS
from stages.project.running import DISK_FAULTS
from stages.project.schema import HubDataParams, HubModelParams

CACHE = SCRATCH / "huggingface"
SITE = "https://huggingface.co"
SMALL_FILES = ["*.json", "*.txt", "*.model", "*.md"]  # configuration, tokenizer, model card
WEIGHT_FILES = [WEIGHTS, SHARDS, "model-*-of-*.safetensors"]  # what transformers loads, see stages.fetch.local.weight_files
IN_FOLDERS = ["*/*"]  # weights for other libraries, intermediate checkpoints


def fetch_model(params: HubModelParams, target: Path) -> None:
    """Download config, tokenizer and weights of the commit that `params` pins, and copy them into `target`.

    Only files at the top level are downloaded, only safetensors as weights, and only after config.json has named a family
    that is supported. What is in .cache/huggingface is not downloaded again. `copy_model` checks the rest.

    Raises:
        UserError: no network, no such repository or commit, no access, or what `copy_model` refuses.
    """
    origin = f"model.hub.name: {params.name} at {params.revision}"
    with faults_of_the_hub("model.hub", params.name, params.revision):
        folder = _snapshot(params, SMALL_FILES)
    if (folder / "config.json").is_file():
        check_family(folder, origin)
        with faults_of_the_hub("model.hub", params.name, params.revision):
            folder = _snapshot(params, SMALL_FILES + WEIGHT_FILES)
        if not any(folder.glob("*.safetensors")):
            raise UserError(
                f"{origin} has no {WEIGHTS} and no {SHARDS}{_weights_there(params)}; only safetensors are loaded, because other "
                "formats can contain code; choose a repository or a commit that has them, or convert the model and set "
                "model.source to local"
            )
    copy_model(folder, target, origin)


def _snapshot(params: HubModelParams, patterns: list[str]) -> Path:
    """Return the cached folder of the repository's top-level files whose names match `patterns`."""
    return Path(
        huggingface_hub.snapshot_download(
            params.name,
            revision=params.revision,
            allow_patterns=patterns,
            ignore_patterns=IN_FOLDERS,
            cache_dir=CACHE / "hub",
        )
    )


def _weights_there(params: HubModelParams) -> str:
    """Return what the repository has in place of safetensors, as part of a sentence; empty if the list cannot be fetched."""
    try:
        files = huggingface_hub.HfApi().list_repo_files(params.name, revision=params.revision)
    except (OSError, errors.HfHubHTTPError):
        return ""
    small = {"", *MODEL_SUFFIXES} - {".safetensors"}
    others = [name for name in files if "/" not in name and Path(name).suffix not in small]
    return f", it has {', '.join(others[:10])}" if others else ""


@contextmanager
def faults_of_the_hub(section: str, name: str, revision: str | None, kind: str = "") -> Iterator[None]:
    """Turn what the Hub's libraries raise in the block into a `UserError`; show progress bars on a terminal only.

    Args:
        section: the block of params.yaml with name and revision: "model.hub" or "data.hub".
        kind: "datasets/" for a data set: the prefix of its page's address.
    """
    hidden, verbosity = are_progress_bars_disabled(), logging.get_verbosity()
    logging.set_verbosity_error()  # it would report every attempt to connect
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # their own, the HTTP client's and those of the formats' readers
        if fault := disk_fault(error):
            raise fault from None
        raise UserError(_explained(section, name, revision, kind, causes(error))) from None
    finally:
        logging.set_verbosity(verbosity)
        if not hidden:
            enable_progress_bars()


def check_data_name(params: HubDataParams) -> None:
    """Check the name before the library, which would also take a folder or a storage bucket, whose contents no commit pins.

    Raises:
        UserError: it names a folder here, or cannot name a repository.
    """
    with faults_of_the_hub("data.hub", params.name, params.revision, "datasets/"):
        if Path(params.name).is_dir():
            raise UserError(
                f"data.hub.name: {params.name} is a folder here, expected a data set of the Hub; for files of your own "
                "set data.source to csv and data.csv.path to a CSV file, or to a folder with train.csv"
            )
        validate_repo_id(params.name)


def newest(name: str, kind: str = "") -> str:
    """Return how a user finds a commit of a repository, as part of a message."""
    return f"git ls-remote {SITE}/{kind}{name} refs/heads/main shows the newest"


def _explained(section: str, name: str, revision: str | None, kind: str, chain: list[BaseException]) -> str:
    def any_is(*kinds: type) -> bool:
        return any(isinstance(error, kinds) for error in chain)

    reason = told(chain[-1])
    if any_is(errors.GatedRepoError):
        return f"{section}.name: access to {name} is restricted; ask for it on {SITE}/{kind}{name}, then set HF_TOKEN"
    if any_is(errors.RevisionNotFoundError):
        return f"{section}.revision: {name} has no commit {revision}; {newest(name, kind)}"
    if any_is(errors.RepositoryNotFoundError):
        folder = f"for the folder {name} set model.source to local; " if Path(name).is_dir() else ""
        return f"{section}.name: the Hub has no {name}, or it is private; {folder}look it up on {SITE}, or set HF_TOKEN"
    if any_is(errors.HFValidationError):
        return f"{section}.name: {name!r} is not a name on the Hub; expected one like owner/name ({reason})"
    return f"{section}.name: {name} could not be fetched; is the name right, and the network there? ({reason})"


def causes(error: BaseException) -> list[BaseException]:
    """Return `error` and the chain of its causes, the original one last."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return chain


def disk_fault(error: BaseException) -> OSError | None:
    """Return the disk error that caused `error`, if one did."""
    return next((cause for cause in causes(error) if isinstance(cause, OSError) and cause.errno in DISK_FAULTS), None)


def told(error: BaseException) -> str:
    """Return the error in one line of bounded length."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{'...' if len(text) > 300 else ''}"
