"""Every measurement, one table: `python -m benchmarks`, or `python -m benchmarks data planner` for some of them.

Each row is a ratio within one run, so that a busy or another machine changes both of its sides.
"""

import sys
from importlib import import_module

import torch
from rich.console import Console
from rich.table import Table

from experiments.complain import complaining
from experiments.provenance import device_name
from trajectories.catalog import nearest
from trajectories.errors import UserError

FILES = ("data", "decision_transformer", "gato", "planner", "tt_training")


def main(names: list[str]) -> None:
    for name in names:
        if name not in FILES:
            raise UserError(f"There is no benchmark called {name!r}: {nearest(name, FILES)}")
    machine = f"{device_name(torch.device('cpu'))}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    table = Table(title=machine, title_justify="left")
    for heading in ("what", "ours", "peer", "ratio", "note"):
        table.add_column(heading, justify="right" if heading in ("ours", "peer", "ratio") else "left")
    for name in names or FILES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        for row in import_module(f"benchmarks.{name}").measure():
            ratio = row.get("ratio")
            shown = f"{ratio:.1f}" if isinstance(ratio, float) else str(ratio or "")
            table.add_row(str(row["what"]), str(row["ours"]), str(row.get("peer", "")), shown, str(row.get("note", "")))
    Console(width=160).print(table)


if __name__ == "__main__":
    with complaining():
        main(sys.argv[1:])
