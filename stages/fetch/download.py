"""Download a pinned archive with pip, without running any of its code."""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.fetch.unpack import check_sha256
from stages.project.errors import UserError
from stages.project.files import sha256_of

DOWNLOADS = Path(".cache/downloads")
STATIC_BACKEND = Path(__file__).with_name("static_backend").resolve()


def download(lock: Path, filename: str, folder: Path = DOWNLOADS) -> Path:
    """Return the path of the archive that the requirements file `lock` pins, from `folder` if it is there.

    A kept archive with a different hash is downloaded again. Prints one line.

    Args:
        lock: a requirements file with one `name==version --hash=sha256:...`.
        filename: the archive's name, as the package index gives it.

    Raises:
        UserError: pip failed (no network, wrong hash) or downloaded a file with a different name.
    """
    expected = pinned_sha256(lock)
    kept = folder / filename
    print(f"{filename}: ", end="", flush=True)
    if kept.is_file() and sha256_of(kept) == expected:
        print(f"kept in {folder}, sha256 as pinned")
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix="partial-") as partial:
        _pip_download(lock, filename, Path(partial))
        fetched = Path(partial) / filename
        if not fetched.is_file():
            raise UserError(f"{lock}: pip downloaded {sorted(os.listdir(partial))}, expected {filename}")
        check_sha256(fetched, expected, filename)
        os.replace(fetched, kept)
    print(f"downloaded, {kept.stat().st_size / 2**20:.1f} MiB, sha256 as pinned")
    return kept


def pinned_sha256(lock: Path) -> str:
    """Return the only SHA-256 in the requirements file `lock`."""
    hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", lock.read_text(encoding="utf-8"))
    if len(hashes) != 1:
        raise UserError(f"{lock}: {len(hashes)} hashes of the form --hash=sha256:<64 digits>, expected one")
    return hashes[0]


def _pip_download(lock: Path, filename: str, folder: Path) -> None:
    """Run `pip download` for `lock` into `folder`; pip's progress is shown in a terminal, its errors only if it fails.

    For a source distribution pip asks the package's build backend for metadata, which usually runs its setup.py. With
    PEP 517 and without build isolation that backend is the first `setuptools` on the path: our `static_backend`, which
    copies name and version from PKG-INFO. PEP 517 is switched on through the environment because newer versions of pip no
    longer have the option. pip checks the hash before it unpacks anything.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--no-input", "--requirement", str(lock), "--dest", str(folder)]
    path = os.pathsep.join(filter(None, [str(STATIC_BACKEND), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PIP_USE_PEP517": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    shown = sys.stdout.isatty()
    if shown:
        print("downloading", flush=True)  # pip goes on below
    output = None if shown else subprocess.PIPE
    run = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, errors="replace")
    if run.returncode:
        print("not downloaded")
        raise UserError(f"{filename} could not be downloaded; is the network there?\n  {_reason(run.stderr)}")


def _reason(output: str) -> str:
    """Return the part of pip's error output that says what went wrong, indented below our message."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # pip reports a lost connection only as a warning, and then fails with a version that it could not find
    connection = [line for line in lines if "connection broken by" in line][-1:]
    start = next((i for i, line in enumerate(lines) if line.startswith("ERROR")), -8)
    return "\n  ".join([*connection, *lines[start:][:8]]) or "pip said nothing"
