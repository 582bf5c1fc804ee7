"""Sokoban: boxes are pushed onto targets in rooms where a wrong push may never be undone.

Source   gym-sokoban (Schrader 2018, https://github.com/mpSchrader/gym-sokoban), after Racanière et al. 2017,
         arXiv:1707.06203; sizes, boxes and time limits by the row in trajectories/families/sokoban.toml
Reward   -0.1 a step, 1 for a box that comes onto a target, -1 for one that leaves it, 10 for the last one, which ends
         the episode (`penalty_for_step` and the rest of gym-sokoban's envs/sokoban_env.py)
Success  every box is on a target
Differs  levels are drawn by a generator of our own, or are Boxoban's (sokoban_levels.py). There are 4 actions, which
         move and push, instead of 9 with moves that do not push and one that does nothing. A player on a target is
         shown. Boxes that are on targets at first do not earn 1 with the first step

Observation  the board, row by row, each cell one of 7 kinds (`sokoban_levels.LETTERS`): a part of small whole numbers
Action       up, down, left, right; into a wall, or a box that cannot move, nothing happens
Drawing      a tile of `TILE` pixels a cell
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from environments import sokoban_levels as levels
from environments.interface import Step
from environments.sokoban_levels import BOX, BOX_ON_TARGET, FLOOR, PLAYER, PLAYER_ON_TARGET, TARGET, WALL
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

STEP, ON_TARGET, SOLVED = -0.1, 1.0, 10.0
TILE = 32  # pixels
COLORS = {  # of what tiles are made of
    "floor": (226, 215, 190),
    "wall": (96, 84, 78),
    "mortar": (70, 60, 56),
    "target": (200, 60, 50),
    "box": (178, 122, 60),
    "solved": (92, 150, 76),
    "edge": (98, 62, 26),
    "player": (48, 92, 168),
}


class SokobanEnvironments:
    """E boards, stepped as one array; see `environments.interface.Environments`."""

    step_seconds = 0.1  # how long a move is shown

    def __init__(self, row: EnvironmentRow, count: int, level: Callable[[int], np.ndarray]) -> None:
        """`level` gives the board of a seed, (H, W) uint8."""
        self.spec = row.spec()
        self.count = count
        self._level = level
        self._shape = row.parts[0].shape
        cells = row.parts[0].size
        self._moves = np.array(levels.directions(self._shape[1]))
        self._ground = np.zeros((count, cells), np.uint8)  # wall, floor or target
        self._boxes = np.zeros((count, cells), bool)
        self._players = np.zeros(count, np.int64)
        self._steps = np.zeros(count, np.int64)
        self._copies = np.arange(count)

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin the level of its seed in each copy (or where `only`); (E, cells) uint8."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            board = self._level(int(seeds[copy])).reshape(-1)
            on_target = np.isin(board, (TARGET, BOX_ON_TARGET, PLAYER_ON_TARGET))
            self._ground[copy] = np.where(board == WALL, WALL, np.where(on_target, TARGET, FLOOR))
            self._boxes[copy] = np.isin(board, (BOX, BOX_ON_TARGET))
            self._players[copy] = np.flatnonzero(board >= PLAYER)[0]
            self._steps[copy] = 0
        return self._observations()

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Step the live copies with (E,) actions.

        Raises:
            UserError: a live copy's action is none of the four.
        """
        if live.any() and not set(actions[live].tolist()) <= set(range(len(self._moves))):
            raise UserError(
                f"{self.spec.name} has actions 0 to {len(self._moves) - 1}, and was given {actions[live].max()}: "
                f"choose a data set of this environment."
            )
        before, copies = self._on_target(), self._copies
        moves = np.where(live, self._moves[np.where(live, actions, 0)], 0)
        ahead = self._players + moves
        beyond = np.clip(ahead + moves, 0, self._ground.shape[1] - 1)  # outside of the board only behind its wall
        pushed = live & self._boxes[copies, ahead] & self._free(beyond)
        self._boxes[copies[pushed], ahead[pushed]] = False
        self._boxes[copies[pushed], beyond[pushed]] = True
        self._players = np.where(self._free(ahead), ahead, self._players)
        self._steps += live
        solved = self._solved()
        rewards = STEP + ON_TARGET * (self._on_target() - before) + SOLVED * solved
        return Step(
            observations=self._observations(),
            rewards=np.where(live, rewards, 0.0),
            terminated=live & solved,
            truncated=live & ~solved & (self._steps >= self.spec.max_episode_steps),
            success=solved,
        )

    def inside(self, index: int) -> np.ndarray:
        """The board of one copy, (H, W), for experts that look inside."""
        return self._observations()[index].reshape(self._shape)

    def infos(self) -> dict[str, np.ndarray]:
        """No simulator stands behind this environment."""
        return {}

    def render(self, index: int) -> np.ndarray:
        """The board of one copy in tiles, (H * TILE, W * TILE, 3) uint8."""
        pictures = tiles()[self.inside(index)]
        return pictures.transpose(0, 2, 1, 3, 4).reshape(self._shape[0] * TILE, self._shape[1] * TILE, 3)

    def close(self) -> None:
        """Nothing is held."""

    def _free(self, cells: np.ndarray) -> np.ndarray:
        """Whether a copy's cell, (E,), can be stepped on or pushed onto."""
        return (self._ground[self._copies, cells] != WALL) & ~self._boxes[self._copies, cells]

    def _on_target(self) -> np.ndarray:
        """Boxes on targets, (E,)."""
        return np.count_nonzero(self._boxes & (self._ground == TARGET), axis=1)

    def _solved(self) -> np.ndarray:
        return self._on_target() == np.count_nonzero(self._boxes, axis=1)

    def _observations(self) -> np.ndarray:
        on_target = self._ground == TARGET
        boards = np.where(self._boxes, np.where(on_target, BOX_ON_TARGET, BOX), self._ground).astype(np.uint8)
        players = np.where(on_target[self._copies, self._players], PLAYER_ON_TARGET, PLAYER)
        boards[self._copies, self._players] = players
        return boards


@cache
def tiles() -> np.ndarray:
    """What each kind of cell looks like, (kinds, TILE, TILE, 3) uint8."""
    down, right = np.mgrid[:TILE, :TILE] + 0.5
    from_middle = np.hypot(down - TILE / 2, right - TILE / 2)
    inset = np.minimum(np.minimum(down, TILE - down), np.minimum(right, TILE - right))  # from the nearest side
    diagonal = np.minimum(abs(down - right), abs(down + right - TILE))
    brick = np.where(down % 16 < 8, right, right + 8) % 16

    def tile(*layers: tuple[np.ndarray, str]) -> np.ndarray:
        picture = np.full((TILE, TILE, 3), COLORS["floor"], np.uint8)
        for where, color in layers:
            picture[where] = COLORS[color]
        return picture

    target = (diagonal < 2) & (from_middle < 14), "target"
    player = (from_middle < 10, "edge"), (from_middle < 8, "player")
    edge = (inset > 3) & ((inset < 6) | (diagonal < 2)), "edge"
    wall = tile((inset >= 0, "wall"), ((down % 8 < 1) | (brick < 1), "mortar"))
    box, solved = (tile((inset > 3, color), edge) for color in ("box", "solved"))
    return np.stack([wall, tile(), tile(target), solved, box, tile(*player), tile(target, *player)])


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> SokobanEnvironments:
    """Copies of a row with the options `boxes` and `pulls`, or `levels`.

    Raises:
        UserError: there are no level files, or levels with such options cannot be drawn.
    """
    size, options = row.parts[0].shape[0], row.options
    if "levels" in options:
        return SokobanEnvironments(row, count, partial(levels.of_file, levels.found(options["levels"]), size))
    for key, most in (("boxes", (size - 2) ** 2 // 8), ("pulls", 10_000)):
        if not 0 < options[key] <= most:
            raise UserError(
                f"{row.name} has {key} = {options[key]}, where a level has 1 to {most}: choose one of these."
            )

    def level(seed: int) -> np.ndarray:
        return levels.draw(np.random.default_rng(seed), size, options["boxes"], options["pulls"])

    return SokobanEnvironments(row, count, level)
