"""Tell whether a file is the one that was pinned."""

import hashlib
from pathlib import Path

from stages.errors import UserError


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at `path` as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str, origin: str) -> None:
    """Compare the file at `path` with the pinned hash.

    Raises:
        UserError: they differ; `origin` says where the file came from.
    """
    received = sha256_of(path)
    if received != expected:
        raise UserError(f"{origin}: sha256 {received}, expected {expected}; it is damaged or not the pinned file")
