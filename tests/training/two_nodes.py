"""Two machines in one: clones with caches of their own, in network namespaces that a virtual cable joins, or on loopback."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests import stopping
from tests.clone import Project, copy_project

CABLE = "train"  # the interface of each namespace
ADDRESSES = ("10.77.0.1", "10.77.0.2")
METHOD = "full"


@dataclass
class Node:
    """One machine: its clone, and how a command runs there.

    Attributes:
        prefix: put before each command: enters the network namespace.
        environment: what differs between the machines, such as the rank of the node.
    """

    project: Project
    prefix: list[str]
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*self.prefix, *command],
            cwd=self.project.folder,
            env=self.project.environment | {"OMP_NUM_THREADS": "1"} | self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def model(self) -> bytes | None:
        path = self.project.folder / f"models/{METHOD}/model.safetensors"
        return path.read_bytes() if path.exists() else None

    @property
    def save_point(self) -> Path:
        return self.project.folder / f".cache/save_points/{METHOD}.safetensors"


def reason_against_namespaces() -> str | None:
    """Why this machine cannot make network namespaces, None if it can."""
    if shutil.which("ip") is None:
        return "the command ip (iproute2) is not installed"
    name = f"try{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return made.stderr.strip()
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


@contextmanager
def namespaces() -> Iterator[list[str]]:
    """Two network namespaces, joined by a cable, with one of ADDRESSES each; yields their names."""
    names = [f"n{os.getpid()}{letter}" for letter in "ab"]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", CABLE, "netns", names[0], "type", "veth", "peer", CABLE, "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", CABLE)
            for device in ("lo", CABLE):
                _ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def unplug(namespace: str) -> None:
    _ip("-n", namespace, "link", "set", CABLE, "down")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def free_port() -> int:
    """A port that is free, below those that Linux hands out by itself: it is to stay free between two trainings."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as listening, contextlib.suppress(OSError):
            listening.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port among a hundred")


def set_launcher(project: Project, launcher: str) -> None:
    path = project.folder / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content["train"]["launcher"] = launcher
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def two_clones(folder: Path, launcher: str) -> list[Project]:
    """Two clones: the first has prepared its data and pushed them to a DVC remote, from which the second has pulled them."""
    (folder / "a").mkdir()
    first = copy_project(folder / "a")
    set_launcher(first, launcher)
    first.run("dvc", "repro", "prepare")
    first.run("dvc", "remote", "add", "--default", "store", str(folder / "store"))
    first.run("dvc", "push")
    first.commit()
    first.run("git", "clone", "--quiet", str(first.folder), str(folder / "b"))
    second = Project(folder / "b")
    assert not (second.folder / "data/processed/train.arrow").exists()
    second.run("dvc", "pull", "fetch", "prepare")
    return [first, second]


def train(nodes: list[Node], **environment: str) -> list[subprocess.Popen]:
    """Start the training on both nodes, as docs/scaling.md says: DVC where the results are written."""
    first = nodes[0].start("dvc", "repro", "--force", "--single-item", f"train_{METHOD}", **environment)
    second = nodes[1].start(sys.executable, "-m", f"stages.train_{METHOD}", **environment)
    return [first, second]


def kill(process: subprocess.Popen) -> None:
    """End a machine: all processes of it at once. torchrun's are in sessions of their own."""
    stopping.kill(process.pid)
    process.communicate()


def wait_for(path: Path, processes: list[subprocess.Popen]) -> None:
    """Return when `path` exists; fail when a process has ended before."""
    while not path.exists():
        for process in processes:
            assert process.poll() is None, "".join(process.communicate())
        time.sleep(0.01)
