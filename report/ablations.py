"""A finished run's weights, measured again in other ways than its record's: what prompts.json and plans.json share.

Each lies beside the record, whose protocol, data and seed it has; `*.md` in results/ shows all of one kind.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from report.cell_text import ABSENT, Table
from report.markdown import code, grid
from report.parsing import build, read_json
from report.store import Evaluation, Record, leave_out, read_record
from trajectories.errors import UserError

Kind = TypeVar("Kind")


class Made(Protocol):
    """The code that measured something."""

    @property
    def commit(self) -> str: ...
    @property
    def dirty(self) -> bool: ...


def read_beside(path: Path, kind: type[Kind], where: str, check: Callable[[Kind], None]) -> Kind:
    """What lies beside a record in `path`.

    Args:
        where: what a message calls it.
        check: raises ValueError at what is not as it is written.

    Raises:
        UserError: it is damaged.
    """
    try:
        found: Kind = build(kind, read_json(path), where)
        check(found)
        return found
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: damaged ({why}): restore it, or remove it and measure again.") from error


def read_all(root: Path, name: str, read: Callable[[Path], Kind]) -> list[tuple[Record, Kind]]:
    """Every run under `root` that has a file of this name, by the run's name.

    A damaged file, and one without a whole record beside it, is named on stderr and left out.
    """
    found = []
    for path in sorted([*root.glob(f"*/{name}"), *root.glob(f"*/*/{name}")]):
        try:
            found.append((read_record(path.parent), read(path.parent)))
        except UserError as error:
            leave_out(str(error))
    return sorted(found, key=lambda pair: pair[0].name)


def outcome(record: Record, played: Evaluation) -> tuple[str, str, str]:
    """Return, steps, and score ± standard error over the episodes of one seed."""
    score, error = mean_and_error(record, played)
    spread = "" if error is None else f" ± {error:.1f}"
    return f"{np.mean(played.returns):.0f}", f"{np.mean(played.lengths):.0f}", f"{score:.1f}{spread}"


def mean_and_error(record: Record, played: Evaluation) -> tuple[float, float | None]:
    """The mean normalized score and its standard error over episodes, which one episode has not."""
    scores = record.protocol.score(played.returns)
    error = float(scores.std(ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else None
    return float(scores.mean()), error


def behavior(record: Record) -> str:
    """The score of the episodes that the run learned from."""
    recorded = record.behavior.normalized
    return ABSENT if recorded is None else f"{recorded:.1f}"


def made_by(command: str, made: Made) -> str:
    """A command, with the code that ran it."""
    return f"{code(command)} (commit {made.commit[:7]}{', with changes' if made.dirty else ''})"


def page(title: str, name: str, shown: Table, commands: Iterable[Sequence[str]]) -> str:
    """A page of results/.

    Args:
        name: of the files that it is written from.
        commands: for each run the lines of `made_by`, the training's first.
    """
    how = f"Written by `python experiments/report.py` from `results/runs/*/{name}`; edit nothing here."
    notes = "\n".join(f"- {note}" for note in shown.notes)
    lines = "\n".join("- " + ", then\n  ".join(each) for each in commands)
    return "\n\n".join([f"# {title}", how, grid(shown), notes, "Made by:", lines]) + "\n"


def is_number(value: Any) -> bool:
    """Whether a setting is a number or a truth."""
    return isinstance(value, bool | int | float)
