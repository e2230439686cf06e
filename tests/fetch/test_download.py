"""Downloading through pip: nothing of the package runs, the hash decides, and what is kept is used again."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stages.fetch.download import download, pinned_sha256
from stages.project.errors import UserError
from stages.project.files import sha256_of

pytestmark = pytest.mark.slow
NAME = "hostile-1.0.tar.gz"


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes for its only index, with a source distribution whose setup.py leaves a mark."""
    source = tmp_path / "hostile-1.0"
    source.mkdir()
    (source / "PKG-INFO").write_text("Metadata-Version: 1.1\nName: hostile\nVersion: 1.0\n\nText: below the headers\n")
    (source / "setup.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n")
    (source / "data.txt").write_text("data\n")
    folder = tmp_path / "index"
    folder.mkdir()
    with tarfile.open(folder / NAME, "w:gz") as archive:
        archive.add(source, arcname=source.name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_lock(index: Path, sha256: str) -> Path:
    lock = index.parent / "lock.txt"
    lock.write_text(f"--no-binary hostile\nhostile==1.0 --hash=sha256:{sha256}\n")
    return lock


@pytest.fixture
def lock(index) -> Path:
    return write_lock(index, sha256_of(index / NAME))


def test_setup_py_is_not_run(index, lock, tmp_path, capsys):
    kept = download(lock, NAME, tmp_path / "kept")
    assert kept.read_bytes() == (index / NAME).read_bytes()
    assert not (tmp_path / "mark").exists()
    assert capsys.readouterr().out == f"{NAME}: downloaded, 0.0 MiB, sha256 as pinned\n"
    # the mark would have been seen: running setup.py by hand leaves it
    subprocess.run([sys.executable, "setup.py", "--name"], cwd=tmp_path / "hostile-1.0", capture_output=True)
    assert (tmp_path / "mark").exists()


def test_setup_py_is_not_run_where_pip_is_told_to_avoid_pep_517(lock, tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text("[global]\nuse-pep517 = no\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    download(lock, NAME, tmp_path / "kept")
    assert not (tmp_path / "mark").exists()


def test_a_kept_archive_needs_no_index(index, lock, tmp_path):
    kept = download(lock, NAME, tmp_path / "kept")
    (index / NAME).unlink()
    assert download(lock, NAME, tmp_path / "kept") == kept


def test_a_damaged_kept_archive_is_downloaded_anew(index, lock, tmp_path):
    kept = tmp_path / "kept" / NAME
    kept.parent.mkdir()
    kept.write_bytes((index / NAME).read_bytes()[:100])
    download(lock, NAME, kept.parent)
    assert kept.read_bytes() == (index / NAME).read_bytes()


def test_another_hash_is_refused_and_nothing_stays(index, tmp_path):
    with pytest.raises(UserError, match=r"hostile-1\.0\.tar\.gz could not be downloaded[\s\S]*0{64}"):
        download(write_lock(index, "0" * 64), NAME, tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())
    assert not (tmp_path / "mark").exists()


def test_no_network_is_one_message_with_the_reason(index, lock, tmp_path):
    (index / NAME).unlink()
    with pytest.raises(UserError, match="No matching distribution found for hostile"):
        download(lock, NAME, tmp_path / "kept")


def test_a_file_of_another_name_is_refused(lock, tmp_path):
    with pytest.raises(UserError, match=r"downloaded \['hostile-1\.0\.tar\.gz'\], expected other\.whl"):
        download(lock, "other.whl", tmp_path / "kept")


def test_a_lock_file_pins_exactly_one_hash(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("hostile==1.0\n")
    with pytest.raises(UserError, match="0 hashes"):
        pinned_sha256(lock)
