"""What a command does not need it does not import: torch takes two seconds, its parts for several processes one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIMULATORS = ("mujoco", "gymnasium", "ale_py")
SHARDING = ("torch.distributed.fsdp", "torch.distributed.tensor")


def imported(module: str, names: tuple[str, ...]) -> list[str]:
    code = f"import sys, {module}; print(*(name for name in {names!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("experiments.data", ("torch", "matplotlib", *SIMULATORS)),
        ("experiments.report", ("torch", *SIMULATORS)),
        ("experiments.run", (*SHARDING, "matplotlib", "tensorboard", *SIMULATORS)),
        ("trajectories.types", ("torch", "h5py", *SIMULATORS)),
    ],
)
def test_a_command_imports_only_what_it_needs(module: str, spared: tuple[str, ...]) -> None:
    assert imported(module, spared) == []
