"""What is printed at the end of a run: a small table."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from report.cell_text import sentence
from report.score_families import ATARI, is_answered, kind_of
from report.store import Record


def summarize(record: Record, folder: Path) -> str:
    """The run's results, its data, its duration and the place of its record."""
    return "\n".join([answers(record) if is_answered(record) else scores(record), *details(record, folder)])


def answers(record: Record) -> str:
    """What was answered, and what it stands beside."""
    (played,) = record.evaluations
    beside = ", ".join(f"{name} {value:.4g}" for name, value in record.references.items())
    return f"{record.column} on {record.dataset}, seed {record.seed}\n{sentence(record, played)}; to beat: {beside}"


def scores(record: Record) -> str:
    """A table of the returns."""
    behavior = record.behavior
    table = Table(title=f"{record.column} on {record.dataset}, seed {record.seed}", title_justify="left")
    solved = any(played.success for played in record.evaluations)
    for heading in ("target return", "return (mean ± std)", "normalized score", "episodes", *["success"] * solved):
        table.add_column(heading, justify="right")
    for played in record.evaluations:
        target = "none" if played.target_return is None else f"{played.target_return:g}"
        spread = f"{np.mean(played.returns):.1f} ± {np.std(played.returns):.1f}"
        success = (f"{np.mean(played.success):.0%}",) if played.success else ()
        table.add_row(target, spread, f"{played.normalized:.1f}", str(len(played.returns)), *success)
    table.add_section()
    table.add_row(
        "behavior",
        f"{behavior.mean:.1f} ± {behavior.std:.1f}",
        "" if behavior.normalized is None else f"{behavior.normalized:.1f}",
        str(behavior.episodes),
        *([] if record.recorded_success is None or not solved else [f"{record.recorded_success:.0%}"]),
    )
    text = Console(file=io.StringIO(), width=80, markup=False, emoji=False)  # names are not markup
    text.print(table)
    return text.file.getvalue().rstrip("\n")  # type: ignore[attr-defined]


def details(record: Record, folder: Path) -> Iterator[str]:
    """A line about the data, the measure, the time, and the place of the record."""
    seconds = ", ".join(f"{name} {value:.0f}" for name, value in record.seconds.items())
    steps = f"{record.data.get('steps', 0):,} steps"
    if kind_of(record) is ATARI and record.source == "collected":
        steps += " requested, and the games begun in them to their ends"  # sources/collect_atari.py
    elif record.source == "collected":
        steps += ", recorded here by policies of our own and not D4RL's (sources/experts/README.md)"
    where = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    if is_answered(record):
        yield f"data    {record.dataset} from {record.source}, {record.data.get('license', 'of your own')}"
        yield f"answers {record.protocol.environment} of the part that is held out"
    else:
        yield f"data    {record.dataset} from {record.source}, {steps}"
        yield f"played  {record.protocol.environment or record.env}, {record.protocol.physics} physics"
    yield f"took    {seconds} seconds; {record.peak_memory_mb:.0f} MB at most"
    yield f"record  {where}/record.json"


def compared(now: Record, before: Record, place: Path) -> str:
    """The scores of a repeated run beside those of the committed record in `place`."""
    ours, theirs = (", ".join(f"{played.normalized:.1f}" for played in record.evaluations) for record in (now, before))
    return f"score   {ours} now, {theirs} in {place}"
