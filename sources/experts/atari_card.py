"""What the players of Atari earn at each level of noise, measured without drawing a single frame.

    python -m sources.experts.atari_card                      # all games, 30 episodes a level: five minutes
    python -m sources.experts.atari_card --games qbert --episodes 5 --no-write

Written to atari.json beside this file, game by game; table.py puts it into the README of this folder.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from environments.atari import emulator
from environments.scores import normalized
from sources.collect_atari import LEVELS, PLAYERS
from trajectories.atomic import write_text
from trajectories.catalog import environment
from trajectories.output import print_any_text
from trajectories.progress import progress

CARD = Path(__file__).with_name("atari.json")


@dataclass(frozen=True)
class Options:
    games: tuple[str, ...] = tuple(PLAYERS)  # which ones
    episodes: int = 30  # of each level
    write: bool = True  # into atari.json; else only print


def play(game: str, noise: float, seed: int) -> tuple[float, int]:
    """Return and length of one episode."""
    row = environment(game)
    rng = np.random.default_rng((seed, round(1000 * noise)))
    console, player = emulator(row, int(rng.integers(1 << 31))), PLAYERS[game](rng)
    console.reset_game()
    actions = console.getMinimalActionSet()
    for _ in range(int(rng.integers(row.options["no_ops"]))):
        console.act(0)
    earned, steps, last = 0.0, 0, 0
    while not console.game_over() and steps < row.max_episode_steps:
        last = player.act(console.getRAM(), last)
        if rng.random() < noise:
            last = int(rng.integers(len(actions)))
        for _ in range(row.options["frame_skip"]):
            earned += console.act(actions[last])
            if console.game_over():
                break
        steps += 1
    return earned, steps


def levels(game: str, episodes: int) -> Iterator[dict[str, Any]]:
    """A row for each level of noise."""
    with progress(len(LEVELS) * episodes, f"playing {game}", "episodes") as bar:
        for noise in LEVELS:
            played = []
            for seed in range(episodes):
                played.append(play(game, noise, seed))
                bar.update()
            returns, lengths = map(np.array, zip(*played, strict=True))
            yield {
                "noise": noise,
                "episodes": episodes,
                "return_mean": round(float(returns.mean()), 1),
                "return_std": round(float(returns.std()), 1),
                "return_best": float(returns.max()),
                "length_mean": round(float(lengths.mean())),
                "score": round(float(normalized(game, returns).mean()), 1),
            }


def read() -> dict[str, list[dict[str, Any]]]:
    """The rows of each game that has been measured."""
    return json.loads(CARD.read_text(encoding="utf-8")) if CARD.exists() else {}


def table(card: dict[str, list[dict[str, Any]]], games: Iterable[str]) -> str:
    """Markdown, a line for each game and level; "not measured yet" where that is so."""
    lines = [
        "| game | random actions | return | best | steps | human-normalized |",
        "|---|---|---|---|---|---|",
    ]
    for game in games:
        if game not in card:
            lines.append(f"| {game} | not measured yet | | | | |")
        for row in card.get(game, ()):
            lines.append(
                f"| {game} | {row['noise']:.0%} | {row['return_mean']:,.1f} ± {row['return_std']:,.1f} | "
                f"{row['return_best']:,.0f} | {row['length_mean']:,} | {row['score']:,.1f} |"
            )
    return "\n".join(lines)


def main(options: Options) -> None:
    card = read()
    for game in options.games:
        card[game] = list(levels(game, options.episodes))
        print(table(card, (game,)), flush=True)
        if options.write:
            write_text(CARD, json.dumps(dict(sorted(card.items())), indent=2) + "\n")


if __name__ == "__main__":
    print_any_text()
    main(tyro.cli(Options))
