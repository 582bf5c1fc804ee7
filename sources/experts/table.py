"""The README of this folder: what every policy earns, and what every data set that they record holds.

    python -m sources.experts.table            # rewrite the README; data sets that are cached are counted anew
    python -m sources.experts.table --check    # exit 1 if it is not what the cards and counts give

The cards stand beside the policies (choose.py), the counts in collected.json, what Atari's players earn in atari.json
(atari_card.py). Nothing in the tables is typed.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from environments.scores import normalized
from sources.collect_atari import PLAYERS
from sources.experts import atari_card
from sources.experts.recipes import FOLDER, available
from sources.loading import Request, load
from trajectories.atomic import write_text
from trajectories.catalog import dataset, dataset_names
from trajectories.disk import data_folder
from trajectories.output import print_any_text

README, COUNTS = FOLDER / "README.md", FOLDER / "collected.json"
BEGIN, END = "<!-- {}: generated -->", "<!-- end of {} -->"


@dataclass(frozen=True)
class Options:
    data_dir: Path | None = None  # cache for data; else $TRAJECTORIES_DIR, else the user's cache folder
    check: bool = False  # write nothing


def cards() -> list[dict[str, Any]]:
    """Every policy's card, with its name."""
    return [
        {"name": path.stem, **json.loads(path.read_text(encoding="utf-8"))} for path in sorted(FOLDER.glob("*/*.json"))
    ]


def names() -> list[str]:
    """Every data set that our own policies record, but the toy's."""
    rows = [dataset(name) for name in dataset_names()]
    return [row.name for row in rows if row.env != "toy" and row.collected_steps and available(row.env, row.quality)]


def count(name: str, folder: Path) -> dict[str, Any] | None:
    """What the cached data set holds; None if it has not been collected here."""
    row = dataset(name)
    files = list((folder / "collected").glob(f"{name}-d4rl-{row.collected_steps}-seed0-*.hdf5"))
    if len(files) != 1:
        return None
    data = load(Request(name, "collected", data_dir=folder))
    returns = data.finished_returns
    return {
        "steps": len(data),
        "episodes": data.episodes,
        "return_mean": round(float(returns.mean()), 1),
        "return_std": round(float(returns.std()), 1),
        "return_best": round(float(returns.max()), 1),
        "score": round(float(normalized(row.env, returns).mean()), 1),
        "megabytes": round(files[0].stat().st_size / 1e6, 1),
        "sha256": data.origin.digest,
    }


def policies_table() -> str:
    """A line for each policy."""
    lines = [
        "| policy | trained by | steps | return of 100 sampled episodes | best | length | score |",
        "|---|---|---|---|---|---|---|",
    ]
    for card in cards():
        lines.append(
            f"| {card['environment']}/{card['name']} | {card['algorithm'].split()[0]} | {card['steps']:,} | "
            f"{card['return_mean']:,.0f} ± {card['return_std']:,.0f} | {card['return_best']:,.0f} | "
            f"{card['length_mean']:.0f} | {card['score']:.1f} |"
        )
    return "\n".join(lines)


def data_table(counts: dict[str, dict[str, Any]]) -> str:
    """A line for each data set; what nobody has counted yet is said."""
    lines = [
        "| data set | steps | episodes | return | best | score | D4RL's own score | MB | sha256 of the columns |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names():
        row = dataset(name)
        theirs = "" if row.mean_return is None else f"{float(normalized(row.env, np.array(row.mean_return))):.1f}"
        if name not in counts:
            lines.append(f"| {name} | not counted yet | | | | | {theirs} | | |")
            continue
        one = counts[name]
        cells = [
            name,
            f"{one['steps']:,}",
            f"{one['episodes']:,}",
            f"{one['return_mean']:,.0f} ± {one['return_std']:,.0f}",
            f"{one['return_best']:,.0f}",
            f"{one['score']:.1f}",
            theirs,
            f"{one['megabytes']:.1f}",
            f"`{one['sha256'][:12]}`",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def filled(text: str, counts: dict[str, dict[str, Any]]) -> str:
    """The README with its tables made anew between their markers."""
    tables = {
        "policies": policies_table(),
        "data sets": data_table(counts),
        "Atari": atari_card.table(atari_card.read(), PLAYERS),
    }
    for name, table in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    return text


def main(options: Options) -> int:
    counts: dict[str, dict[str, Any]] = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
    text = README.read_text(encoding="utf-8")
    if options.check:
        return int(filled(text, counts) != text)
    for name in names():
        if found := count(name, data_folder(options.data_dir)):
            counts[name] = found
    write_text(COUNTS, json.dumps(dict(sorted(counts.items())), indent=2) + "\n")
    write_text(README, filled(text, counts))
    print(f"{len(cards())} policies; {len(counts)} of {len(names())} data sets counted: {README}")
    return 0


if __name__ == "__main__":
    print_any_text()
    sys.exit(main(tyro.cli(Options)))
