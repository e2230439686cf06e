"""What a launcher's options say, and the command that it becomes."""

import subprocess
import sys

import pytest

from stages.project.errors import UserError
from stages.training import agent
from stages.training.launch import command_of, processes_of


@pytest.mark.parametrize(
    ("launcher", "processes"),
    [
        ("python", None),
        ("torchrun --standalone --nproc-per-node=2", 2),
        ("torchrun --nnodes=2 --nproc_per_node 3 --master-addr=10.0.0.1", 6),
        ("torchrun --nnodes=1:2 --nproc-per-node=3", None),  # as many as come
        ("torchrun --nnodes=2 --nproc-per-node=gpu", None),
        ("accelerate launch --multi_gpu --num_processes=4 --num_machines=2", 4),
        ("srun --nodes=2 --ntasks=4", 4),
        ("srun -N 2 -n 4", 4),
        ("srun -n4", 4),
        ("srun", None),
    ],
)
def test_processes_are_counted_over_all_nodes(launcher, processes):
    assert processes_of(launcher) == processes


def test_srun_is_the_machines_and_ends_all_tasks_when_one_fails(tmp_path, monkeypatch):
    program = tmp_path / "srun"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_of("srun", ["-n4"], "srun -n4") == [str(program), "--kill-on-bad-exit=1", "-n4", sys.executable]
    program.unlink()
    with pytest.raises(UserError, match="srun is not installed, received 'srun -n4'"):
        command_of("srun", ["-n4"], "srun -n4")


class Failure:
    def __init__(self, exitcode: int, timestamp: int):
        self.exitcode, self.timestamp = exitcode, timestamp


def test_a_process_that_failed_has_spoken_and_one_that_was_killed_has_not():
    assert agent.lost({0: Failure(1, 5), 1: Failure(-15, 6)}) == 1
    message = agent.lost({0: Failure(-15, 6), 1: Failure(-9, 5)})
    assert isinstance(message, str) and "the process of rank 1 was killed (SIGKILL)" in message


def test_the_check_before_the_launch_loads_no_library_that_takes_seconds():
    """Only `loading`, which comes after it, ends Ctrl-C with one line."""
    code = (
        "import sys, stages.training.launch; print(sorted({'torch', 'transformers', 'numpy', 'accelerate'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
