"""One command, one table: python -m benchmarks, or `make benchmark`.

    python -m benchmarks                      # everything, in about ten minutes, into benchmarks/README.md too
    python -m benchmarks planner data         # some of it, printed only
    python -m benchmarks planner --write      # in place of the planner's older figures in benchmarks/README.md
    python -m benchmarks planner --json       # for other programs

Every row is a ratio measured in one run: ours against a peer that pip can install or a plain way of doing the same.
"""

import datetime
import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import torch
import tyro

from benchmarks.timing import seconds
from training import provenance
from training.cli import exit_on_user_error
from training.devices import device_name
from trajectories.atomic import write_text
from trajectories.errors import UserError

FIGURES = Path(__file__).with_name("cpu.json")
PAGE = Path(__file__).with_name("README.md")
HEAD = """# Speed and memory

Written by `python -m benchmarks` from `benchmarks/cpu.json`; edit nothing here. Every row is measured in one run: ours
against a named peer, and how many times as good ours is. Each part names its machine, how busy it was and its commit:
compare ratios, not seconds, over parts. What one GPU gives stands in [gpu.md](gpu.md), and the top of
`benchmarks/NAME.py` says what a part compares and how."""
Name = Literal[
    "waiting",
    "data",
    "collecting",
    "atari",
    "decision_transformer",
    "evaluation",
    "tt_training",
    "planner",
    "gato",
    "mixture",
    "shares",
    "report",
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
    write: bool = False
    """keep the rows in benchmarks/cpu.json and README.md, in place of older ones; done anyway where all are measured"""


def main(options: Options) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    parts: dict[str, dict[str, Any]] = {}
    for name in options.names or NAMES:
        parts[name] = {"machine": machine(), "rows": measured(name)}
    rows: list[Row] = [row for part in parts.values() for row in part["rows"]]
    print(json.dumps({"machine": machine(), "rows": rows}, indent=1) if options.json else table(rows))
    if options.write or not options.names:
        written(parts)


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
        "load before": round(os.getloadavg()[0], 1),
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


def written(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep what was measured, in place of the same parts' older figures, and write the page of all."""
    kept: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))["parts"] if FIGURES.exists() else {}
    kept = {name: {**kept, **parts}[name] for name in NAMES if name in kept or name in parts}
    write_text(FIGURES, json.dumps({"parts": kept}, indent=1, ensure_ascii=False) + "\n")
    write_text(PAGE, page(kept))


def page(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """benchmarks/README.md: a table for each part, below the machine that it was measured on."""
    sections = [HEAD]
    for name, part in parts.items():
        described = "; ".join(f"{what} {value}" for what, value in part["machine"].items())
        sections.append(f"## {name}\n\n{described}\n\n{table(part['rows'])}")
    if absent := [f"`{name}`" for name in NAMES if name not in parts]:
        sections.append(f"Not measured yet: {', '.join(absent)}.")
    return "\n\n".join(sections) + "\n"


if __name__ == "__main__":
    with exit_on_user_error():
        main(tyro.cli(Options, prog="python -m benchmarks"))
