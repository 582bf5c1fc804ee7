"""The README of this folder: what every policy earns, and what every data set that they record holds.

    python -m sources.experts.table            # rewrite the README; data sets that are cached are counted anew
    python -m sources.experts.table --check    # exit 1 if it is not what the cards and counts give

The cards stand beside the policies (snapshots.py), the counts in collected.json, what Atari's players earn in
atari.json (atari_card.py). Nothing in the tables is typed.
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
from sources.experts import atari_card, snapshots
from sources.experts.recipes import FOLDER, available, policies_digest
from sources.loading import Request, load
from trajectories.atomic import write_text
from trajectories.catalog import dataset, dataset_names
from trajectories.disk import data_folder
from trajectories.output import print_any_text
from trajectories.rows import families

README, COUNTS = FOLDER / "README.md", FOLDER / "collected.json"
LEVELS = ("medium", "expert")
BEGIN, END = "<!-- {}: generated -->", "<!-- end of {} -->"


@dataclass(frozen=True)
class Options:
    data_dir: Path | None = None  # cache for data; else $TRAJECTORIES_DIR, else the user's cache folder
    check: bool = False  # write nothing


def cards() -> dict[str, dict[str, Any]]:
    """The card of every robot's training."""
    found = {env: snapshots.read(env) for env in sorted({dataset(name).env for name in names()})}
    return {env: trained.card for env, trained in found.items() if trained}


def names() -> list[str]:
    """Every data set that our own policies record, but the toy's."""
    rows = [dataset(name) for name in dataset_names()]
    return [row.name for row in rows if row.env != "toy" and row.collected_steps and available(row.env, row.quality)]


def count(name: str, folder: Path) -> dict[str, Any] | None:
    """What the cached data set holds; None if it has not been collected here from today's policies."""
    row = dataset(name)
    version = policies_digest(row.env, row.quality)[:12]
    file = folder / "collected" / f"{name}-d4rl-{row.collected_steps}-seed0-{version}.hdf5"
    if not file.is_file():
        return None
    data = load(Request(name, "collected", data_dir=folder))
    returns = data.finished_returns
    return {
        "steps": len(data),
        "episodes": data.episodes,
        "return_mean": round(float(returns.mean()), 1),
        "return_std": round(float(returns.std()), 1),
        "return_best": round(float(returns.max()), 1),
        "return_90th": round(float(np.percentile(returns, 90)), 1),
        "score": round(float(normalized(row.env, returns).mean()), 1),
        "megabytes": round(file.stat().st_size / 1e6, 1),
        "sha256": data.origin.digest,
    }


def trainings_table() -> str:
    """A line for each robot, and where its training was given other settings, one for each of these."""
    lines = [
        "| robot | learner | seed | policy | from step | learning rate | gradient steps for 4 steps | snapshots |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for env, card in cards().items():
        taken = [one["steps"] for one in card["snapshots"]]
        for stage in card["settings"]:
            width = stage.get("actor", 64)  # PPO's is Stable-Baselines3's own
            lines.append(
                f"| {env} | {card['algorithm'].split()[0]} | {card['seed']} | {width} x {width} | "
                f"{stage['from']:,} | {stage['learning_rate']:g} | {stage.get('gradient_steps', '')} | {len(taken)} |"
            )
    return "\n".join(lines)


def policies_table() -> str:
    """A line for each policy that was chosen."""
    lines = [
        "| policy | steps | return of 100 episodes | best | length | score | without noise | D4RL's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for env, card in cards().items():
        for name in (name for name in LEVELS if name in card):
            one, theirs = card[name], dataset(f"{env}-{name}").mean_return
            lines.append(
                f"| {env}-{name} | {one['steps']:,} | {one['return_mean']:,.0f} ± {one['return_std']:,.0f} | "
                f"{one['return_best']:,.0f} | {one['length_mean']:.0f} | {one['score']:.1f} | "
                f"{one['without_noise_mean']:,.0f} ± {one['without_noise_std']:,.0f} | "
                f"{'' if theirs is None else f'{theirs:,.0f}'} |"
            )
    return "\n".join(lines)


def data_table(counts: dict[str, dict[str, Any]]) -> str:
    """A line for each data set; "not counted yet" where that is so."""
    lines = [
        "| data set | steps | D4RL's | episodes | D4RL's | return | D4RL's | 90th percentile | best | score | "
        "sha256 of the columns |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names():
        row = dataset(name)
        steps, episodes, mean = (
            "" if one is None else f"{one:,.0f}" for one in (row.steps, row.episodes, row.mean_return)
        )
        if name not in counts:
            lines.append(f"| {name} | not counted yet | {steps} | | {episodes} | | {mean} | | | | |")
            continue
        one = counts[name]
        cells = [
            name,
            f"{one['steps']:,}",
            steps,
            f"{one['episodes']:,}",
            episodes,
            f"{one['return_mean']:,.0f} ± {one['return_std']:,.0f}",
            mean,
            f"{one['return_90th']:,.0f}",
            f"{one['return_best']:,.0f}",
            f"{one['score']:.1f}",
            f"`{one['sha256'][:12]}`",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def demonstrations_table() -> str:
    """A line for each task that an expert demonstrates and that was measured (measure.py)."""
    lines = [
        "| task | expert | episodes | return of random actions | expert's return | length | success of random actions "
        "| expert's success |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for family in families().values():
        for name, one in family["measured"].items():
            success = [f"{one[key]:.0%}" if key in one else "" for key in ("random_success", "expert_success")]
            given_up = f" ({one['dropped']} given up)" if one["dropped"] else ""
            lines.append(
                f"| {name} | {one['expert']} | {one['episodes']}{given_up} | {one['random_return']:.4g} | "
                f"{one['expert_return']:.4g} ± {one['expert_std']:.3g} | {one['expert_length']:.0f} | "
                f"{success[0]} | {success[1]} |"
            )
    return "\n".join(lines)


def filled(text: str, counts: dict[str, dict[str, Any]]) -> str:
    """The README with its tables made anew between their markers."""
    tables = {
        "trainings": trainings_table(),
        "policies": policies_table(),
        "data sets": data_table(counts),
        "demonstrations": demonstrations_table(),
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
    print(f"{len(cards())} robots; {len(counts)} of {len(names())} data sets counted: {README}")
    return 0


if __name__ == "__main__":
    print_any_text()
    sys.exit(main(tyro.cli(Options)))
