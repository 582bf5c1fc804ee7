"""An environment's name -> many copies of it: the row names its family, and the family is a file of this folder."""

from importlib import import_module

import numpy as np

from environments.interface import Environments
from trajectories.catalog import answered_kind, environment
from trajectories.errors import UserError


def make(name: str, count: int, physics: str = "d4rl", render_mode: str | None = None) -> Environments:
    """`count` copies of an environment of the catalog, not yet begun.

    Args:
        name: the environment's row, "hopper".
        physics: "d4rl" or "gymnasium"; families without a simulator ignore it.
        render_mode: gymnasium's; "rgb_array" where `render` will be called.

    Raises:
        UserError: an unknown environment or physics.
    """
    row = environment(name)
    family = import_module(f"environments.{row.family}")
    return family.create(row, count, physics, render_mode)


def check_playable(name: str, physics: str = "d4rl") -> None:
    """Begin an episode of an environment and take one step, so that what is missing here is noticed at once.

    A task that is answered has nothing to play.

    Raises:
        UserError: it cannot be made, or does not run; the message has the reason.
    """
    if answered_kind(name):
        return
    environments = make(name, 1, physics)
    spec = environments.spec
    still = np.zeros(1, np.int64) if spec.discrete else np.zeros((1, *spec.action_shape), np.float32)
    try:
        environments.reset([0])
        environments.step(still, np.ones(1, bool))
    except UserError:
        raise
    except Exception as error:  # whatever the environment's own code raises
        reason = (str(error).splitlines() or [""])[0].rstrip(".")[:200]
        raise UserError(
            f"{name} cannot be played here ({type(error).__name__}: {reason}): nothing is trained before it can."
        ) from error
    finally:
        environments.close()
