"""tests/skips.py: a skipped test is said in the last line, and fails a run in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import MISSING

ROOT = Path(__file__).resolve().parent.parent
TESTS = """
import pytest
def test_here():
    pass
def test_elsewhere():
    pytest.skip({reason!r})
@pytest.mark.skipif(True, reason={reason!r})
def test_nowhere():
    pass
"""


def ran(folder: Path, reason: str | None, **environment: str) -> tuple[int, str]:
    """The exit code and the last line of a run of three tests, of which two are skipped for a reason."""
    (folder / "test_some.py").write_text(TESTS.format(reason=reason) if reason else "def test_here(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-p", "no:cacheprovider", "-q", "-c", os.devnull]
    machine = {name: value for name, value in os.environ.items() if name != "CI"}
    machine["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # none of them is needed
    done = subprocess.run(
        [*command, str(folder)], cwd=ROOT, env=machine | environment, capture_output=True, text=True
    )  # fmt: skip
    return done.returncode, done.stdout.strip().splitlines()[-1]


def test_the_last_line_says_how_many_tests_were_skipped_and_why(tmp_path: Path) -> None:
    assert ran(tmp_path, "Ray is not installed") == (0, "2 skipped: 2 x Ray is not installed.")
    assert ran(tmp_path, None) == (0, "Nothing was skipped.")


def test_in_ci_a_skipped_test_is_a_failure(tmp_path: Path) -> None:
    said = "2 skipped: 2 x Ray is not installed. In CI a skipped test is a failure."
    assert ran(tmp_path, "Ray is not installed", CI="true") == (1, said)
    assert ran(tmp_path, None, CI="true") == (0, "Nothing was skipped.")


@pytest.mark.parametrize("environment", [{}, {"CI": "true"}], ids=["here", "ci"])
def test_files_that_only_others_may_give_away_may_be_missing_in_ci(tmp_path: Path, environment: dict[str, str]) -> None:
    assert ran(tmp_path, MISSING, **environment)[0] == 0
