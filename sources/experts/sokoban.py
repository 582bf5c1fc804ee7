"""Sokoban: a solution found by A*, the shortest one or one that is nearly as short.

Search       Hart, Nilsson and Raphael 1968, over pushes: a node is the boxes and the player beside the box that it just
             pushed, an edge is a walk and a push. Ties are broken alike, so that equal boards get equal moves
Weight       where `BUDGETS` has too few boards for the fewest moves, the bound counts twice (weighted A*, Pohl 1970),
             which gives at most twice as many moves: 31.0 instead of 28.8 on 30 levels of sokoban-10x10
Lower bound  the fewest pushes that bring the boxes, each alone, to targets of their own (`lower_bound` of
             environments/sokoban_levels.py)
Leaves out   boards with a box from whose cell no pushes lead to a target, or with four walls and boxes in a square, one
             of which is not on a target
Gives up     where there are too few boards for that as well

Sets of cells are the bits of one whole number, so that a walk spreads to all cells of equal distance at once.
"""

import heapq
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from environments.sokoban_levels import BOX, BOX_ON_TARGET, NEVER, PLAYER, TARGET, WALL, directions, lower_bound
from sources.experts.interface import GaveUp
from trajectories.rows import EnvironmentRow

VERSION = 1  # raised when other moves are found, or other levels drawn
BUDGETS = {1: 5_000, 2: 20_000}  # boards that are looked at, by the bound's weight: about 50 microseconds each


class Node(NamedTuple):
    """What moves on a board."""

    player: int  # its cell
    boxes: int  # the set of theirs


class Solver:
    """Finds the fewest moves that solve a board, (H, W) of the kinds of cells in environments/sokoban_levels.py."""

    def __init__(self, board: np.ndarray) -> None:
        cells, self.width = board.reshape(-1), board.shape[1]
        self.moves = directions(self.width)
        floor, on_target = cells != WALL, np.isin(cells, (TARGET, BOX_ON_TARGET)) | (cells > PLAYER)
        self.floor, self.targets = _set(floor), _set(on_target)
        self._bound = lower_bound(floor.tolist(), self.width, np.flatnonzero(on_target).tolist())
        self._bounds: dict[int, int] = {}
        square = 0b11 | 0b11 << self.width
        corners = (0, 1, self.width, self.width + 1)
        self._squares = [
            [square << cell - corner for corner in corners if cell >= corner] for cell in range(len(cells))
        ]
        boxes = np.isin(cells, (BOX, BOX_ON_TARGET))
        self.start = Node(int(np.flatnonzero(cells >= PLAYER)[0]), _set(boxes))

    def solve(self) -> list[int]:
        """The actions that solve the board.

        Raises:
            GaveUp: there are none, or they are not found within the budgets.
        """
        for weight, budget in BUDGETS.items():
            if actions := self.search(weight, budget):
                return actions
        raise GaveUp

    def search(self, weight: int, budget: int) -> list[int] | None:
        """The actions that solve the board, if they are found within `budget` boards."""
        before: dict[Node, tuple[Node, int]] = {}
        fewest, done, order = {self.start: 0}, set[Node](), count()
        heap = [(0, 0, next(order), self.start)]
        while heap and len(done) < budget:
            *_, node = heapq.heappop(heap)
            if node in done:
                continue
            if node.boxes == self.targets:
                return self._actions(node, before)
            done.add(node)
            for following, action, moves in self._pushes(node):
                total = fewest[node] + moves
                if total < fewest.get(following, NEVER) and (ahead := self._ahead(following.boxes)) < NEVER:
                    fewest[following], before[following] = total, (node, action)
                    heapq.heappush(heap, (total + weight * ahead, ahead, next(order), following))
        return None

    def _ahead(self, boxes: int) -> int:
        """The lower bound of the moves that are left."""
        if boxes not in self._bounds:
            self._bounds[boxes] = self._bound(tuple(_members(boxes)))
        return self._bounds[boxes]

    def _pushes(self, node: Node) -> list[tuple[Node, int, int]]:
        """The boards one push away, each with the direction of the push and the moves up to it."""
        boxes, free = node.boxes, self.floor & ~node.boxes
        found = []
        pushers: dict[int, list[tuple[int, int]]] = {}  # by the cell to stand on: the box, and the direction
        for box in _members(boxes):
            for action, move in enumerate(self.moves):
                if free >> box + move & free >> box - move & 1:
                    pushers.setdefault(box - move, []).append((box, action))
        standing = sum(1 << cell for cell in pushers)
        for steps, cells in enumerate(self._spread(node)):
            for cell in _members(cells & standing):
                for box, action in pushers[cell]:
                    beyond = box + self.moves[action]
                    following = boxes ^ (1 << box) ^ (1 << beyond)
                    if not self._stuck(beyond, following):
                        found.append((Node(box, following), action, steps + 1))
        return found

    def _spread(self, node: Node) -> list[int]:
        """The cells that the player can walk to, a set for each number of steps."""
        width, left = self.width, self.floor & ~node.boxes
        cells, found = 1 << node.player, []
        while cells:
            found.append(cells)
            left &= ~cells
            cells = (cells << 1 | cells >> 1 | cells << width | cells >> width) & left
        return found

    def _stuck(self, box: int, boxes: int) -> bool:
        """Whether a box is in a square that can never be moved again and is not solved."""
        solid = boxes | ~self.floor
        wrong = boxes & ~self.targets
        return any(solid & square == square and wrong & square for square in self._squares[box])

    def _actions(self, last: Node, before: dict[Node, tuple[Node, int]]) -> list[int]:
        """The moves that lead from the start to a board, walks and pushes."""
        actions: list[int] = []
        node = last
        while node in before:
            earlier, push = before[node]
            actions.append(push)
            rings, cell = self._spread(earlier), node.player - self.moves[push]
            place = next(steps for steps, ring in enumerate(rings) if ring >> cell & 1)
            for ring in reversed(rings[:place]):
                action = next(action for action, move in enumerate(self.moves) if ring >> cell - move & 1)
                actions.append(action)
                cell -= self.moves[action]
            node = earlier
        return actions[::-1]


class Planner:
    """Solves a level before its first move; see `sources.experts.interface.Expert`."""

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        self._left: list[int] = []  # actions, the next one last

    def act(self, environment: Any, observation: np.ndarray) -> int:
        if not self._left:
            self._left = Solver(environment).solve()[::-1]
        return self._left.pop()


def _set(cells: np.ndarray) -> int:
    return sum(1 << cell for cell in np.flatnonzero(cells).tolist())


def _members(cells: int) -> list[int]:
    """The cells of a set, in ascending order."""
    found = []
    while cells:
        lowest = cells & -cells
        found.append(lowest.bit_length() - 1)
        cells ^= lowest
    return found


def has_expert(row: EnvironmentRow) -> bool:
    return row.family == "sokoban"


def expert(row: EnvironmentRow) -> Planner:
    return Planner()
