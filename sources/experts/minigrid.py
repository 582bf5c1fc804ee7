"""MiniGrid's four rooms: the shortest way to the goal, a turn being a step as long as any other.

Of equally short ways it takes that of the first actions, so that it walks the same from the same start.
"""

from collections import deque
from typing import Any

import numpy as np

from sources.experts.interface import GaveUp
from trajectories.rows import EnvironmentRow

VERSION = 1
LEFT, RIGHT, FORWARD = 0, 1, 2
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))  # by direction: right, down, left, up
State = tuple[int, int, int]  # column, row, direction


class PathExpert:
    """Walks the way that was found when its episode began; see `sources.experts.interface.Expert`."""

    def __init__(self) -> None:
        self._actions = deque[int]()

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        column, row = map(int, environment.agent_pos)
        self._actions = deque(shortest(environment.grid, (column, row, int(environment.agent_dir))))

    def act(self, environment: Any, observation: np.ndarray) -> int:
        if not self._actions:
            raise GaveUp
        return self._actions.popleft()


def shortest(grid: Any, start: State) -> list[int]:
    """The fewest actions from a state to the goal; none where no way leads there."""
    before: dict[State, tuple[State, int] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        column, row, direction = state
        here = grid.get(column, row)
        if here is not None and here.type == "goal":
            return _way(before, state)
        ahead = column + AHEAD[direction][0], row + AHEAD[direction][1]
        found = [(LEFT, (column, row, (direction - 1) % 4)), (RIGHT, (column, row, (direction + 1) % 4))]
        if (cell := grid.get(*ahead)) is None or cell.can_overlap():  # the border is wall: nothing lies beyond it
            found.append((FORWARD, (*ahead, direction)))
        for action, following in found:
            if following not in before:
                before[following] = state, action
                waiting.append(following)
    return []


def _way(before: dict[State, tuple[State, int] | None], state: State) -> list[int]:
    """The actions that lead to a state."""
    actions = []
    while (last := before[state]) is not None:
        state, action = last
        actions.append(action)
    return actions[::-1]


def has_expert(row: EnvironmentRow) -> bool:
    return row.family == "minigrid"


def expert(row: EnvironmentRow) -> PathExpert:
    return PathExpert()
