"""trajectories/openmp.py: torch's threads wait briefly, whatever is started and whatever is imported first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_house import MAY_IMPORT, sources
from trajectories import openmp

ROOT = Path(__file__).resolve().parent.parent
PROBE = """
import importlib, os, runpy, sys

class Reached(BaseException):
    pass

class Torch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise Reached

sys.meta_path.insert(0, Torch())
rooms, names = sys.argv[1].split(","), sys.argv[2:]
for name in names:
    for module in [module for module in sys.modules if module.partition(".")[0] in rooms]:
        del sys.modules[module]
    os.environ.pop("GOMP_SPINCOUNT", None)
    path = list(sys.path)
    try:
        runpy.run_path(name, run_name="script") if name.endswith(".py") else importlib.import_module(name)
    except Reached:
        print(name, os.environ.get("GOMP_SPINCOUNT"))
    sys.path[:] = path
"""


def test_torch_is_never_imported_before_its_threads_wait_briefly() -> None:
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources()]
    scripts = [str(path) for path in (ROOT / "experiments").glob("*.py")]
    names = [name.removesuffix(".__init__") for name in modules] + scripts + ["tests.conftest"]
    command = [sys.executable, "-c", PROBE, ",".join([*MAY_IMPORT, "tests"]), *names]
    output = subprocess.run(command, cwd=ROOT, env=unset(), capture_output=True, text=True, check=True).stdout
    reached = dict(line.split() for line in output.splitlines())
    assert len(reached) > 60
    assert {name: spin for name, spin in reached.items() if spin != openmp.SPINCOUNT} == {}


def test_libgomp_reads_what_a_command_says() -> None:
    if sys.platform != "linux":
        pytest.skip("torch has libgomp on Linux only")
    command = [sys.executable, str(ROOT / "experiments" / "inspect_tokens.py"), "--help"]  # imports torch
    done = subprocess.run(command, env={**unset(), "OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True)
    assert f"GOMP_SPINCOUNT = '{openmp.SPINCOUNT}'" in done.stderr


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_a_users_own_way_of_waiting_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in openmp.OWN:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "active" if name == "OMP_WAIT_POLICY" else "77")
    before = dict(os.environ)
    openmp.wait_briefly()
    assert dict(os.environ) == before


def unset() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in openmp.OWN}
