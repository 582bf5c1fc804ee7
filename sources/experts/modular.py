"""Experts of Modular RL's bodies: a policy for each, trained here in that body alone.

Actions have at most half of the noise of training, under which some of the bodies fall; other shares in other episodes,
so that models which learn from the data see how to recover.
"""

from pathlib import Path

from sources.experts.interface import Expert
from sources.experts.trained import Trained
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

VERSION = 1
NOISE = 0.5  # largest share of the policy's own noise
TRAINED = Path(__file__).with_name("modular_rl")  # policies, a file each


def has_expert(row: EnvironmentRow) -> bool:
    """Whether a policy was trained in this body."""
    return _weights(row).is_file()


def expert(row: EnvironmentRow) -> Expert:
    """The policy of a body.

    Raises:
        UserError: none was trained, or it cannot be read.
    """
    if not has_expert(row):
        known = sorted(f"modular-{path.stem}" for path in TRAINED.glob("*.safetensors"))
        raise UserError(f"There is no policy of {row.name}: choose one of {', '.join(known)}.")
    return Trained(_weights(row), row.max_episode_steps, NOISE)


def _weights(row: EnvironmentRow) -> Path:
    return TRAINED / f"{row.name.removeprefix('modular-')}.safetensors"
