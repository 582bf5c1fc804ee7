"""What was skipped, said in the last line; in CI ($CI is set) a skipped test fails the run.

Only files that others recorded may be missing in CI: they are not ours to give away, and so not in the repository.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data"
MISSING = f"files that others recorded, D4RL's and more, are not in {RECORDED}"


def recorded(name: str) -> Path:
    """A file, or a folder, that others recorded; without it the test is skipped."""
    if not (RECORDED / name).exists():
        pytest.skip(MISSING)
    return RECORDED / name


def reasons(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> Counter[str]:
    """How many tests, or files of tests, were skipped for each reason."""
    said = (report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr) for report in reports)
    return Counter(reason.removeprefix("Skipped: ") for reason in said)


def sentence(skipped: Counter[str]) -> str:
    """The last line: nothing was skipped, or how many and why, the most frequent reason first."""
    if not skipped:
        return "Nothing was skipped."
    why = "; ".join(f"{count} x {reason}" for reason, count in skipped.most_common())
    return f"{skipped.total()} skipped: {why}."


def of_session(config: pytest.Config) -> Counter[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reasons(reporter.stats.get("skipped", ()) if reporter else ())


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
