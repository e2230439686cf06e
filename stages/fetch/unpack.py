"""Copy named members of an archive, each checked against its pinned hash."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from stages.project.errors import UserError
from stages.project.files import sha256_of

DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


def unpack(archive: Path, members: Mapping[str, str], target: Path) -> None:
    """Copy `members` of a .tar.gz or zip file (a wheel is one) into `target`, each under the last part of its name.

    Nothing else is read. Where a file lands depends on `members` alone, so no name inside the archive can escape
    `target`; links are refused.

    Args:
        members: name inside the archive -> pinned SHA-256.

    Raises:
        UserError: the archive is damaged, a member is missing or not a regular file, or its hash differs.
    """
    try:
        with _opener(archive) as open_member:
            for name, expected in members.items():
                path = target / PurePosixPath(name).name
                with open_member(name) as source, open(path, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
                check_sha256(path, expected, f"{archive.name}: {name}")
    except KeyError:
        raise UserError(f"{archive.name}: has no member {name}; it is not the pinned archive") from None
    except DAMAGED as error:
        raise UserError(f"{archive.name}: damaged ({error}); remove {archive} and run fetch again") from None


@contextmanager
def _opener(archive: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Yield a function that opens a member by name; it raises KeyError if there is none."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield opened.open
    else:
        with tarfile.open(archive, "r:gz") as opened:
            yield lambda name: _regular_file(opened, name, archive.name)


def _regular_file(opened: tarfile.TarFile, name: str, archive: str) -> IO[bytes]:
    member = opened.getmember(name)
    file = opened.extractfile(member) if member.isreg() else None
    if file is None:
        raise UserError(f"{archive}: {name} is not a regular file; it is not the pinned archive")
    return file


def check_sha256(path: Path, expected: str, origin: str) -> None:
    """Compare the file at `path` with the pinned hash.

    Args:
        origin: what the message calls the file.

    Raises:
        UserError: they differ.
    """
    received = sha256_of(path)
    if received != expected:
        raise UserError(f"{origin}: sha256 {received}, expected {expected}; it is damaged or not the pinned file")
