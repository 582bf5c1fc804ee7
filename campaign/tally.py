"""How often something was tried, how often it held, and the first that did not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

LONGEST = 500  # characters of a message
HEADER = ("| | tried | held | commit |", "|---|---|---|---|")


@dataclass
class Tally:
    """One row of the table."""

    title: str
    held: int = 0
    failures: list[str] = field(default_factory=list)
    not_tried: str = ""  # why, where this machine cannot
    commit: str = ""  # of the code that was tried

    def count(self, failure: str | None) -> None:
        """One more, which held unless `failure` says how it did not."""
        if failure is None:
            self.held += 1
        else:
            self.failures.append(failure)

    @property
    def tried(self) -> int:
        return self.held + len(self.failures)

    def row(self) -> str:
        """As a row of Markdown."""
        if self.not_tried:
            return f"| {self.title} | not tried: {self.not_tried} | | |"
        first = f": {self.failures[0].replace('|', '/')}" if self.failures else ""
        return f"| {self.title} | {self.tried:,} | {self.held:,}{first} | {self.commit[:7]} |"


def table(tallies: Sequence[Tally]) -> str:
    """A row for each title and commit, as Markdown."""
    rows: dict[tuple[str, str], Tally] = {}
    for tally in tallies:
        row = rows.setdefault((tally.title, tally.commit), Tally(tally.title, commit=tally.commit))
        row.held += tally.held
        row.failures += tally.failures
        row.not_tried = row.not_tried or tally.not_tried
    return "\n".join([*HEADER, *(row.row() for row in rows.values())])
