"""Unpacking: named members only, nowhere but the target folder, only with the pinned hash."""

import io
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from stages.fetch.unpack import unpack
from stages.project.errors import UserError

CONTENT = {"pack/data.txt": b"data\n" * 5000, "../outside.txt": b"outside", "pack/code.py": b"raise SystemExit"}
HASHES = {name: sha256(content).hexdigest() for name, content in CONTENT.items()}


def write_tar(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in CONTENT.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("pack/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "data.txt"
        archive.addfile(link)
    return path


def write_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(params=[write_tar, write_zip])
def archive(request, tmp_path) -> Path:
    return request.param(tmp_path / "archive")


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "deep" / "target"
    folder.mkdir(parents=True)
    return folder


def test_only_named_members_are_unpacked(archive, target):
    unpack(archive, {"pack/data.txt": HASHES["pack/data.txt"]}, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"data.txt": CONTENT["pack/data.txt"]}


def test_a_name_that_points_outside_lands_inside(archive, target):
    unpack(archive, {"../outside.txt": HASHES["../outside.txt"]}, target)
    assert [path.name for path in target.iterdir()] == ["outside.txt"]
    assert not (target.parent / "outside.txt").exists()


def test_another_hash_is_refused(archive, target):
    with pytest.raises(UserError, match=f"pack/data.txt: sha256 {HASHES['pack/data.txt']}, expected {'0' * 64}"):
        unpack(archive, {"pack/data.txt": "0" * 64}, target)


def test_a_missing_member_is_named(archive, target):
    with pytest.raises(UserError, match=r"no member pack/absent\.txt"):
        unpack(archive, {"pack/absent.txt": "0" * 64}, target)


def test_a_link_is_refused(tmp_path, target):
    with pytest.raises(UserError, match="not a regular file"):
        unpack(write_tar(tmp_path / "archive"), {"pack/link.txt": HASHES["pack/data.txt"]}, target)


@pytest.mark.parametrize("length", [0, 10, 60, -30])
def test_a_truncated_archive_is_one_message(archive, target, length):
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(UserError, match="damaged"):
        unpack(archive, HASHES, target)
