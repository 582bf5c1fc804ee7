"""What a command does not need it does not import: torch takes two seconds, matplotlib and simulators half of one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIMULATORS = ("mujoco", "gymnasium", "ale_py", "dm_control")
SHARDING = ("torch.distributed.fsdp", "torch.distributed.tensor")
HEAVY = ("torch", "matplotlib", "h5py", "pandas", "sentencepiece", "ray", "tensorboard", *SIMULATORS)
TYPED = """
import sys
sys.argv = {words!r}
import experiments.{command}
try:
    experiments.{command}.console()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *(name for name in {names!r} if name in sys.modules))
"""


def imported(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "line",
    [
        *("run --help", "run", "run --model gato --env breakout --help", "play --help", "data list", "data --help"),
        *("report --help", "plan --help", "export --help", "benchmark --help", "benchmark --suite smoke --dry-run"),
        *("benchmark --models bc dt tt gato --envs breakout hopper-medium --dry-run",),
    ],
)
def test_what_only_prints_imports_neither_torch_nor_simulators(line: str) -> None:
    command, *words = line.split()
    assert imported(TYPED.format(words=[f"{command}.py", *words], command=command, names=HEAVY)) == []


def test_training_imports_no_compiler(tmp_path: Path) -> None:
    words = ["run.py", "--model", "bc", "--env", "toy-medium", "--source", "collected", "--steps", "200"]
    words += ["--updates", "2", "--episodes", "1", "--threads", "1"]
    words += ["--results-dir", str(tmp_path / "runs"), "--data-dir", str(tmp_path / "cache")]
    names = ("torch._dynamo", "torch._inductor", "sympy", "torch.distributed.fsdp")
    assert imported(TYPED.format(words=words, command="run", names=names)) == []


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("experiments.report", ("torch", *SIMULATORS)),
        ("training.run", (*SHARDING, "matplotlib", "tensorboard", *SIMULATORS)),
        ("trajectories.types", ("torch", "h5py", *SIMULATORS)),
    ],
)
def test_a_module_imports_only_what_it_needs(module: str, spared: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print('imported:', *(name for name in {spared!r} if name in sys.modules))"
    assert imported(code) == []
