"""An environment's name -> many copies of it: the row names its family, and the family is a file of this folder."""

from importlib import import_module

from environments.interface import Environments
from trajectories.catalog import environment


def make(name: str, count: int, physics: str = "d4rl", threads: int = 1) -> Environments:
    """`count` copies of an environment of the catalog, not yet begun.

    Args:
        name: the environment's row, "hopper".
        physics: "d4rl" or "gymnasium"; families without a simulator ignore it.
        threads: how many share the copies between them; results do not depend on it.

    Raises:
        UserError: an unknown environment or physics.
    """
    row = environment(name)
    family = import_module(f"environments.{row.family}")
    return family.create(row, count, physics, threads)
