"""BabyAI: an instruction, and a grid of rooms, doors, keys, balls and boxes to carry it out in.

Source   Chevalier-Boisvert et al. 2019, arXiv:1810.08272, by minigrid 3.2.0
Reward   1 - 0.9 x steps / limit for carrying out the mission, which ends the episode; 0 where it can no longer be
         carried out, which ends it, too, or when the limit is reached
Success  a reward

Observation  parts: the direction, the 7 x 7 cells before the agent, each (object, color, state), and the mission
Action       turn left, turn right, forward, pick up, drop, toggle, done
Picture      what is recorded as cells can be drawn as minigrid's RGBImgPartialObsWrapper shows it: `pictures`
"""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cache
from typing import Any

import numpy as np

from environments.gymnasium import GymnasiumEnvironments
from trajectories.rows import EnvironmentRow

CELL = (11, 6, 4)  # how many objects, colors and states there are
TILE = 8  # pixels of a cell's side


class BabyAIEnvironments(GymnasiumEnvironments):
    """E levels; see `environments.interface.Environments`."""

    knows_success = True

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        with redirect_stdout(io.StringIO()):  # which draws were rejected
            return super().reset(seeds, only)

    def _make(self, render_mode: str | None) -> Any:
        with redirect_stdout(io.StringIO()):
            return super()._make(render_mode)

    def _succeeded(self, info: dict[str, Any], reward: float) -> bool:
        return reward > 0


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> BabyAIEnvironments:
    return BabyAIEnvironments(row, count, render_mode)


def pictures(cells: np.ndarray) -> np.ndarray:
    """Views of a grid as they are recorded, (*N, 7, 7, 3), drawn: (*N, 56, 56, 3) uint8.

    Equal to what minigrid draws of the level itself: a view leaves out nothing that its picture shows.
    """
    *several, columns, rows, _ = cells.shape
    views = cells.reshape(-1, columns * rows, 3).astype(np.int64)
    agent = np.arange(columns * rows) == columns // 2 * rows + rows - 1  # in the middle of the last row
    codes = np.concatenate([views, np.broadcast_to(agent, views.shape[:2])[:, :, None]], axis=2)
    kinds, which = np.unique(codes.reshape(-1, 4), axis=0, return_inverse=True)
    tiles = np.stack([_tile(*(int(number) for number in kind)) for kind in kinds])  # (kinds, 8, 8, 3)
    drawn = tiles[which.reshape(-1, columns, rows)].transpose(0, 2, 3, 1, 4, 5)  # row, line, column, pixel, channel
    return drawn.reshape(*several, rows * TILE, columns * TILE, 3)


@cache
def _tile(kind: int, color: int, state: int, agent: int) -> np.ndarray:
    """The picture of one cell, (8, 8, 3); what is in sight is lighter."""
    from minigrid.core.constants import OBJECT_TO_IDX
    from minigrid.core.grid import Grid
    from minigrid.core.world_object import WorldObj

    thing = WorldObj.decode(kind, color, state)
    in_sight = kind != OBJECT_TO_IDX["unseen"]
    return np.asarray(Grid.render_tile(thing, 3 if agent else None, in_sight, TILE), np.uint8)
