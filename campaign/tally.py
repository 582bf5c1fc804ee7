"""How often something was tried, how often it held, and the first that did not."""

from dataclasses import dataclass, field


@dataclass
class Tally:
    """One row of the table."""

    title: str
    held: int = 0
    failures: list[str] = field(default_factory=list)
    not_tried: str = ""  # why, where this machine cannot

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
            return f"| {self.title} | not tried: {self.not_tried} | |"
        first = f": {self.failures[0].replace('|', '/')}" if self.failures else ""
        return f"| {self.title} | {self.tried:,} | {self.held:,}{first} |"
