"""An encoder of the Hugging Face Hub at a pinned commit, and what every use of the Hub shares: its cache and its faults."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils import (
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
IN_FOLDERS = ["*/*"]  # weights for other libraries, checkpoints on the way


def fetch_model(params: HubModelParams, target: Path) -> None:
    """Download config, tokenizer and weights of the commit that `params` pins, and copy them into `target`.

    Only files at the top level are downloaded, only safetensors as weights, and only after config.json has named a family
    that is supported. What .cache/huggingface holds is not downloaded again. `copy_model` checks the rest.

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
                "formats can hold code; choose a repository or a commit that has them, or convert the model, and take it as "
                "model.source local"
            )
    copy_model(folder, target, origin)


def _snapshot(params: HubModelParams, patterns: list[str]) -> Path:
    """The folder in the cache that holds the files at the top level of the repository whose names match `patterns`."""
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
    """What the repository has in place of safetensors at its top level, as a part of a sentence; empty if nobody can tell."""
    try:
        files = huggingface_hub.HfApi().list_repo_files(params.name, revision=params.revision)
    except (OSError, errors.HfHubHTTPError):
        return ""
    small = {"", *MODEL_SUFFIXES} - {".safetensors"}
    others = [name for name in files if "/" not in name and Path(name).suffix not in small]
    return f", it has {', '.join(others[:10])}" if others else ""


@contextmanager
def faults_of_the_hub(section: str, name: str, revision: str, kind: str = "") -> Iterator[None]:
    """Turn what the Hub's libraries raise in the block into one `UserError`; bars are shown on a terminal only.

    Args:
        section: where name and revision stand in params.yaml: "model.hub" or "data.hub".
        kind: "datasets/" for a data set: where its page stands on the site.
    """
    hidden, verbosity = are_progress_bars_disabled(), logging.get_verbosity()
    logging.set_verbosity_error()  # it would tell of every attempt to connect
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the libraries raise their own kinds, those of the HTTP client and of the formats' readers
        if fault := disk_fault(error):
            raise fault from None
        raise UserError(_explained(section, name, revision, kind, causes(error))) from None
    finally:
        logging.set_verbosity(verbosity)
        if not hidden:
            enable_progress_bars()


def check_data_name(params: HubDataParams) -> None:
    """Look at the name before the library does, which takes a folder or a storage bucket too; no commit pins what is in these.

    Raises:
        UserError: it is the name of a folder here, or can be none of a repository.
    """
    with faults_of_the_hub("data.hub", params.name, params.revision, "datasets/"):
        if Path(params.name).is_dir():
            raise UserError(
                f"data.hub.name: {params.name} is a folder here, and a data set of the Hub was expected; for files of your own "
                "set data.source to csv and data.csv.path to a CSV file, or to a folder with train.csv"
            )
        validate_repo_id(params.name)


def newest(name: str, kind: str = "") -> str:
    """How a user finds a commit of a repository."""
    return f"git ls-remote {SITE}/{kind}{name} refs/heads/main shows the newest"


def _explained(section: str, name: str, revision: str, kind: str, chain: list[BaseException]) -> str:
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
        return f"{section}.name: {name!r} is no name on the Hub; one like owner/name was expected ({reason})"
    return f"{section}.name: {name} could not be fetched; is the name right, and the network there? ({reason})"


def causes(error: BaseException) -> list[BaseException]:
    """Return `error` and what it was raised from, the origin last."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return chain


def disk_fault(error: BaseException) -> OSError | None:
    """Return the fault of the disk that `error` comes from, if it does."""
    return next((cause for cause in causes(error) if isinstance(cause, OSError) and cause.errno in DISK_FAULTS), None)


def told(error: BaseException) -> str:
    """The error in one line of bounded length."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{'...' if len(text) > 300 else ''}"
