"""Two machines train what two processes on one machine train; a machine that is lost ends the training, which then goes on."""

import shutil
import subprocess
import sys

import pytest

from tests.training.two_nodes import (
    ADDRESSES,
    CABLE,
    METHOD,
    Node,
    free_port,
    kill,
    namespaces,
    reason_against_namespaces,
    set_launcher,
    train,
    two_clones,
    unplug,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nodes")]
BOUND = 240  # seconds in which a training ends that has lost a machine, at most
TWO_PROCESSES = "torchrun --standalone --nproc-per-node=2"
EACH_STEP = {"SAVE_POINT_SECONDS": "0"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Two nodes: in namespaces, found through c10d; on a machine without namespaces on loopback, by their number."""
    folder = tmp_path_factory.mktemp("nodes")
    if reason_against_namespaces():
        clones = two_clones(folder, f"torchrun --nnodes=2 --nproc-per-node=1 --master-addr=127.0.0.1 --master-port={free_port()}")
        yield [Node(clone, [], {"PET_NODE_RANK": str(rank)}) for rank, clone in enumerate(clones)]
        return
    clones = two_clones(
        folder, f"torchrun --nnodes=2 --nproc-per-node=1 --rdzv-backend=c10d --rdzv-endpoint={ADDRESSES[0]}:29400 --rdzv-id=study"
    )
    with namespaces() as names:
        yield [
            Node(
                clone,
                ["ip", "netns", "exec", name],
                {
                    "GLOO_SOCKET_IFNAME": CABLE,
                    "PET_LOCAL_ADDR": address,
                    "PET_RDZV_CONF": f"is_host={int(address == ADDRESSES[0])}",  # both namespaces have this machine's name
                },
            )
            for clone, name, address in zip(clones, names, ADDRESSES, strict=True)
        ]


@pytest.fixture(scope="module")
def on_one_machine(nodes, tmp_path_factory) -> bytes:
    """The model of two processes on one machine."""
    folder = tmp_path_factory.mktemp("one") / "clone"
    shutil.copytree(nodes[0].project.folder, folder, symlinks=True)
    project = type(nodes[0].project)(folder)
    set_launcher(project, TWO_PROCESSES)
    project.run(sys.executable, "-m", f"stages.train_{METHOD}")
    model = Node(project, []).model
    assert model is not None
    return model


def finish(processes: list[subprocess.Popen]) -> list[tuple[str, str]]:
    """What each process printed on its two streams; all must succeed."""
    outputs = [process.communicate(timeout=BOUND) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return outputs


def errors(stderr: str) -> list[str]:
    """The messages of the training among what DVC and it printed."""
    assert "Traceback" not in stderr, stderr
    return [line for line in stderr.splitlines() if line.startswith("error: ")]


def test_a_lost_machine_ends_the_training_which_goes_on_from_rank_0s_save_point(nodes, on_one_machine):
    """The same bytes as two processes on one machine, though the second machine was killed and has no save point."""
    first, second = nodes
    processes = train(nodes, **EACH_STEP)
    wait_for(first.save_point, processes)
    kill(processes[1])
    _, stderr = processes[0].communicate(timeout=BOUND)
    (message,) = errors(stderr)
    assert processes[0].returncode and "rank 0 lost the connection to another process" in message
    assert first.save_point.exists() and not second.save_point.exists()

    (stdout, _), _ = finish(train(nodes))
    assert "resuming from step" in stdout
    assert first.model == on_one_machine
    assert not first.save_point.exists()
    # the second machine computes, and writes no results
    assert second.model is None and not (second.project.folder / f"metrics/training/{METHOD}.json").exists()


def test_a_save_point_on_the_other_machine_is_used_too(nodes, on_one_machine):
    """Which machine is rank 0 may change between two starts."""
    first, second = nodes
    processes = train(nodes, **EACH_STEP)
    wait_for(first.save_point, processes)
    for process in processes:
        kill(process)
    second.save_point.parent.mkdir(parents=True, exist_ok=True)
    first.save_point.rename(second.save_point)
    (stdout, _), _ = finish(train(nodes))
    assert "resuming from step" in stdout and first.model == on_one_machine
    assert not second.save_point.exists()


def test_machines_with_different_data_are_refused(nodes):
    second = nodes[1]
    path = second.project.folder / "data/processed/labels.json"
    kept = path.read_text()
    path.write_text(kept + "\n")
    try:
        processes = train(nodes)
        for process in processes:
            _, stderr = process.communicate(timeout=BOUND)
            (message,) = errors(stderr)
            assert process.returncode and "unlike on rank 0 is data/processed/labels.json on rank 1" in message
    finally:
        path.write_text(kept)


def test_a_machine_out_of_reach_ends_the_training_after_the_timeout(nodes):
    first, second = nodes
    if not first.prefix:
        pytest.skip("loopback has no cable to unplug")
    processes = train(nodes, TRAIN_TIMEOUT_SECONDS="5", **EACH_STEP)
    wait_for(first.save_point, processes)
    unplug(second.prefix[-1])
    _, stderr = processes[0].communicate(timeout=BOUND)
    (message,) = errors(stderr)
    assert processes[0].returncode and "rank 0 lost the connection to another process" in message
    kill(processes[1])  # its training has ended too, but torchrun there waits until TCP gives the first machine up
