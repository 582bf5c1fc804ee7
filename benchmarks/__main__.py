"""One command, one table: python -m benchmarks, or `make benchmark`.

    python -m benchmarks                      # everything, in about ten minutes, into benchmarks/figures.md too
    python -m benchmarks planner data         # some of it, printed only
    python -m benchmarks planner --json       # for other programs

Every row is a ratio measured in this run: ours against a peer that pip can install or a plain way of doing the same.
"""

import datetime
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import torch
import tyro

from benchmarks.timing import seconds
from training import provenance
from training.cli import exit_on_user_error
from training.devices import device_name
from trajectories.atomic import write_text
from trajectories.errors import UserError

FIGURES = Path(__file__).with_name("figures.md")
Name = Literal[
    "waiting", "data", "atari", "decision_transformer", "evaluation", "tt_training", "planner", "gato", "report"
]
NAMES = get_args(Name)
Row = dict[str, object]  # what, ours, peer, ratio, note


@dataclass(frozen=True)
class Options:
    """Measure speed and memory, each against a named peer."""

    names: Annotated[tuple[Name, ...], tyro.conf.Positional] = ()
    """which of them; all, if none is named"""
    threads: int = 0
    """threads of the processor; 0: as many as PyTorch takes"""
    json: bool = False
    """print rows as JSON"""


def main(options: Options) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    rows: list[Row] = []
    for name in options.names or NAMES:
        rows += measured(name)
    print(json.dumps({"machine": machine(), "rows": rows}, indent=1) if options.json else table(rows))
    if not options.names:
        written(FIGURES, rows)


def measured(name: str) -> list[Row]:
    """The rows of one file of this folder, imported only when it is chosen: the peers need more than we do."""
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    rows: list[Row] = []
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        raise UserError(f"{name} compares with {error.name}: pip install -r requirements-dev.txt brings it.") from error
    spent = seconds(lambda: rows.extend(module.measure()))
    print(f"{spent:.0f} s", file=sys.stderr)
    return rows


def machine() -> dict[str, object]:
    """What the figures depend on besides the code."""
    commit, dirty = provenance.commit()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit[:7] + (" and changes" if dirty else ""),
        "machine": device_name(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        **provenance.versions(),
    }


def table(rows: Sequence[Row]) -> str:
    """Markdown that reads as plain text too: columns as wide as their widest cell."""
    lines = [["what", "ours", "peer", "ratio", "note"]]
    lines += [[str(row.get(name, "")) if name != "ratio" else ratio(row) for name in lines[0]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def ratio(row: Row) -> str:
    """How many times as good as the peer; a dash where there is none."""
    value = row.get("ratio")
    return f"{value:.3g}" if isinstance(value, int | float) else "—"


def written(path: Path, rows: Sequence[Row]) -> None:
    """The table and what it was measured on, beside and renamed."""
    described = "; ".join(f"{name} {value}" for name, value in machine().items())
    page = f"# Figures\n\nWritten by `python -m benchmarks`; edit nothing here.\n\n{described}\n\n{table(rows)}\n"
    write_text(path, page)


if __name__ == "__main__":
    with exit_on_user_error():
        main(tyro.cli(Options, prog="python -m benchmarks"))
