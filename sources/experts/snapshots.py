"""All policies of one of SAC's trainings, in one file: what the learner was, from its first step to expert.

    hopper.safetensors   the snapshots' weights, one behind the other in float16, (K, ...) of each; `steps` (K,), when
    hopper.json          the card: how the training went, which snapshot is medium and which expert, and what they earn

Of PPO's, which has no replay buffer, medium and expert alone are kept, as files of their own that the card names.
A policy is played as it is stored.

Shapes   K snapshots
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sources.experts.policy import TanhGaussian, from_tensors, tensors_of
from trajectories.atomic import atomic_file, write_text
from trajectories.errors import UserError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Snapshots:
    """A training's policies in the order of training, and its card."""

    card: dict[str, Any]
    steps: tuple[int, ...]  # of the training when each was taken, rising
    tensors: dict[str, np.ndarray]  # by name, (K, ...) float16

    def policy(self, steps: int) -> TanhGaussian:
        """The snapshot that was taken after so many steps."""
        place = self.steps.index(steps)
        return cast(TanhGaussian, from_tensors({name: stacked[place] for name, stacked in self.tensors.items()}))

    def identity(self, steps: int) -> bytes:
        """What distinguishes this policy from every other."""
        place = self.steps.index(steps)
        return b"".join(name.encode() + self.tensors[name][place].tobytes() for name in sorted(self.tensors))

    def intervals(self, end: int, most: int | None = None) -> list[tuple[int, int]]:
        """What a replay buffer holds when training has come to `end`: each snapshot's steps, and how many it played.

        Args:
            most: steps that the buffer has room for; the last ones stay.
        """
        first = 0 if most is None else max(0, end - most)
        ends = [*(step for step in self.steps[1:] if step < end), end]
        spans = zip(self.steps, ends, strict=False)  # there may be later snapshots
        return [(begin, stop - max(begin, first)) for begin, stop in spans if stop > first]


def files(environment: str) -> tuple[Path, Path]:
    """The snapshots' and their card's."""
    return FOLDER / f"{environment}.safetensors", FOLDER / f"{environment}.json"


def write(environment: str, taken: Sequence[tuple[int, TanhGaussian]], card: dict[str, Any]) -> None:
    """Store the policies of a training, each beside the steps after which it was taken, and its card."""
    columns = [tensors_of(policy) for _, policy in taken]
    names = columns[0] if columns else ()
    stacked = {name: np.stack([one[name] for one in columns]).astype(np.float16, order="C") for name in names}
    weights, beside = files(environment)
    with atomic_file(weights, alone=True) as fresh:
        save_file({"steps": np.array([steps for steps, _ in taken], np.int64), **stacked}, fresh)
    write_text(beside, json.dumps(card, indent=2) + "\n")


def read(environment: str) -> Snapshots | None:
    """A robot's snapshots; None where none were trained.

    Raises:
        UserError: they are damaged.
    """
    weights, beside = files(environment)
    if not beside.exists():
        return None
    try:
        tensors = load_file(weights)
        steps = tuple(tensors.pop("steps").tolist())
        return Snapshots(json.loads(beside.read_text(encoding="utf-8")), steps, tensors)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise UserError(
            f"The policies {weights} cannot be read ({error}): restore them from the repository."
        ) from error
