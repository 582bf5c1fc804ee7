"""What to load: a data set, and from where."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trajectories.errors import UserError, did_you_mean

REPLAYED = ("auto", "dqn-replay")  # sources of which a number of steps is drawn
REROLL_STEPS = 1_000_000  # as many as D4RL's medium and expert files hold
# What a command takes
Source = Literal["auto", "d4rl", "reroll", "collected", "minari", "dqn-replay", "jat", "package"]
CachedSource = Literal["d4rl", "reroll", "collected", "minari", "dqn-replay", "jat", "package", "file"]
Physics = Literal["d4rl", "gymnasium"]


@dataclass(frozen=True)
class Request:
    """Which data set, and from where."""

    name: str  # a data set of the catalog, an id of Minari's, or name@environment (catalog.py)
    source: str = "auto"
    path: Path | None = None  # the user's: D4RL's file (d4rl), one with a policy (reroll), a folder (jat), any (auto)
    steps: int | None = None  # reroll and collected: how many to record
    seed: int = 0  # reroll and collected: of the recording
    physics: str = "d4rl"  # reroll and collected: d4rl or gymnasium
    data_dir: Path | None = None  # the cache
    replay_steps: int = 500_000  # dqn-replay: how many to select; kzl's run_dt_atari.py, --num_steps
    replay_checkpoints: int = 50  # dqn-replay: of the last so many of 50; kzl's --num_buffers
    allow_mismatch: bool = False  # take a file whose states are far from what is published of its environment


def check(request: Request, sources: Iterable[str]) -> None:
    """Raises UserError where a source is unknown, or is given a path or a number of steps that it has no use for."""
    if request.source not in sources:
        raise UserError(f"There is no source called {request.source!r}: {did_you_mean(request.source, sources)}")
    recorded = request.source in ("reroll", "collected")
    if request.steps is not None and not recorded:
        raise UserError(
            f"--steps {request.steps} is for data recorded here: add --source reroll or --source collected."
        )
    if request.steps is not None and request.steps < 1:
        raise UserError(f"--steps {request.steps} leaves nothing to learn from: choose at least 1.")
    for option, value in (("steps", request.replay_steps), ("checkpoints", request.replay_checkpoints)):
        if value < 1:
            raise UserError(f"--replay-{option} {value} leaves nothing to learn from: choose at least 1.")
    of_a_file = request.source == "auto" and request.path is not None and request.path.is_file()
    replay = (request.replay_steps, request.replay_checkpoints)
    if replay != (Request.replay_steps, Request.replay_checkpoints) and (of_a_file or request.source not in REPLAYED):
        raise UserError("--replay-steps and --replay-checkpoints are for --source dqn-replay: leave them out.")
    if request.path is not None and request.source == "collected":
        raise UserError(f"--source collected records its own data and cannot use --path {request.path}: leave one out.")
