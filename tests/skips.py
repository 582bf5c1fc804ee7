"""The last line of a run: which tests were skipped and why; in CI ($CI is set) a skipped test fails the run.

Only files that others recorded may be missing in CI: they are not ours to publish, and so not in the repository. They
lie in ../shared/data, and the pieces of D4RL's files also in the cache, to which they are fetched when they are needed
first. Where there are none of them the last line lists the claims that were not tested.
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data"
MISSING = "recorded files are missing (python experiments/data.py fetch d4rl-pieces): these claims were not tested"
Skipped = dict[str, list[str]]  # the names of the skipped tests, by reason


@cache
def pieces() -> Path | None:
    """The folder of the pieces of D4RL's files in the user's cache, fetched if need be; None without a network."""
    from sources import pieces
    from trajectories.disk import data_folder
    from trajectories.errors import UserError

    try:
        return pieces.fetched(data_folder())
    except UserError:
        return None


def recorded(name: str) -> Path:
    """A file, or a folder, that others recorded; without it the test is skipped."""
    folder = RECORDED if RECORDED.exists() else pieces()
    if folder is None or not (file := folder / (name if folder == RECORDED else Path(name).name)).exists():
        pytest.skip(MISSING)
    return file


def by_reason(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> Skipped:
    """The skipped tests, or files of tests, by reason."""
    found: Skipped = defaultdict(list)
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        test = report.nodeid.rpartition("::")[2].partition("[")[0]
        found[reason.removeprefix("Skipped: ")].append(test.removeprefix("test_").replace("_", " "))
    return found


def sentence(skipped: Skipped) -> str:
    """The last line: nothing was skipped, or how many and why, the most frequent reason first."""
    if not skipped:
        return "Nothing was skipped."
    ordered = sorted(skipped.items(), key=lambda item: -len(item[1]))
    why = [f"{len(tests)} x {reason}" + claims(reason, tests) for reason, tests in ordered]
    return f"{sum(map(len, skipped.values()))} skipped: {'; '.join(why)}."


def claims(reason: str, tests: list[str]) -> str:
    """The names of the tests where recorded files are missing: each is a claim."""
    return f": {', '.join(dict.fromkeys(tests))}" if reason == MISSING else ""


def of_session(config: pytest.Config) -> Skipped:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return by_reason(reporter.stats.get("skipped", ()) if reporter else ())


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    avoidable = [reason for reason in of_session(session.config) if reason != MISSING]
    if os.environ.get("CI") and avoidable and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        skipped = of_session(config)
        fails = os.environ.get("CI") and set(skipped) - {MISSING}
        print(sentence(skipped) + (" In CI a skipped test is a failure." if fails else ""))
