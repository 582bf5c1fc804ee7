"""tests/skips.py: skipped tests are in the last line, and fails a run in CI."""

import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sources import pieces
from sources.fetch import FetchError, Published
from tests import skips
from tests.skips import MISSING, RECORDED, recorded

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
    message = "2 skipped: 2 x Ray is not installed. In CI a skipped test is a failure."
    assert ran(tmp_path, "Ray is not installed", CI="true") == (1, message)
    assert ran(tmp_path, None, CI="true") == (0, "Nothing was skipped.")


@pytest.mark.parametrize("environment", [{}, {"CI": "true"}], ids=["here", "ci"])
def test_files_that_only_others_may_give_away_may_be_missing_in_ci(tmp_path: Path, environment: dict[str, str]) -> None:
    code, line = ran(tmp_path, MISSING, **environment)
    assert code == 0
    assert line == f"2 skipped: 2 x {MISSING}: elsewhere, nowhere."


def test_pieces_of_d4rls_files_come_from_the_cache_where_no_folder_has_them(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(urls: list[str], file: Path, known: Published, limits: object) -> None:
        assert all(url.startswith("https://") and url.endswith(file.name) for url in urls)
        file.write_text(f"{known.size} {known.sha256}")

    monkeypatch.setattr(skips, "RECORDED", tmp_path / "absent")
    monkeypatch.setattr(pieces, "fetch", network)
    skips.pieces.cache_clear()
    assert recorded("d4rl/hopper_medium-v2.hdf5") == own_cache / "d4rl-pieces" / "hopper_medium-v2.hdf5"
    with pytest.raises(pytest.skip.Exception):
        recorded("more/door-v0_demos.pickle")
    skips.pieces.cache_clear()


def test_without_pieces_and_network_their_tests_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*arguments: object) -> None:
        raise FetchError("hopper_medium-v2.hdf5", "no route")

    monkeypatch.setattr(skips, "RECORDED", tmp_path / "absent")
    monkeypatch.setattr(pieces, "fetch", no_network)
    skips.pieces.cache_clear()
    with pytest.raises(pytest.skip.Exception, match="claims were not tested"):
        recorded("d4rl/hopper_medium-v2.hdf5")
    skips.pieces.cache_clear()


def test_the_pieces_sizes_and_sha256_are_those_of_the_real_files(real: Path) -> None:
    for path, (size, sha256) in tomllib.loads(pieces.TABLE.read_text())["files"].items():
        name = path.rpartition("/")[2]
        file = next(file for file in (real / name, RECORDED / "more" / name) if file.exists())
        assert (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()) == (size, sha256), name
