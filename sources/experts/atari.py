"""Players of Atari games that read the console's memory: no network, no training, a few lines each.

Source   where things stand in the memory: Anand et al. 2019, arXiv:1906.08226 (AtariARI), and looking; how the paddles
         answer to an action of four frames was fitted to recorded games
Noise    a share of the actions is replaced by random ones, at several levels: from random play to expert play. What
         each level earns stands in README.md
"""

import itertools
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Player(Protocol):
    """Plays one episode."""

    def act(self, memory: np.ndarray, last: int) -> int:
        """The next action, one of the game's minimal set.

        Args:
            memory: the console's, (128,) uint8.
            last: the action that was done before; noise may have changed it. 0 at first.
        """
        ...


class Ball:
    """A ball that flies straight between two walls: where it will come down, from where it was and is."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high  # of the walls that it bounces off, along the paddle
        self._last: tuple[int, int] | None = None

    def seen(self, along: int, towards: int) -> tuple[int, int] | None:
        """The ball's way since the step before, along the paddle and towards it; None if it was not there."""
        last, self._last = self._last, (along, towards)
        return None if last is None else (along - last[0], towards - last[1])

    def lost(self) -> None:
        self._last = None

    def landing(self, along: int, speed: int, steps: float) -> float:
        """Where it will be after so many steps, bounces included."""
        width = self.high - self.low
        way = (along + speed * steps - self.low) % (2 * width)
        return self.low + (way if way <= width else 2 * width - way)


def pressed(error: float, steps: float, least: tuple[float, ...]) -> int:
    """-1, 0 or 1: which way to press a paddle whose error is that much, `steps` before the ball comes.

    A press moves it far, and less far if the ball comes before all of it is done: so with `steps` left it is worth it
    for errors above `least[steps - 1]`, and with more for those above the last of them.
    """
    left = min(max(int(np.ceil(steps)), 1), len(least))
    return int(np.sign(error)) if abs(error) > least[left - 1] else 0


class Breakout:
    """Stands where the ball will come down, and hits it with a part of the paddle drawn anew each time.

    A press moves the paddle by 12, and by 11 more in the step after it.
    """

    LEAST = (6.0, 11.5)
    PADDLE, NEAR = 180, 8  # where the ball is hit; the paddle's middle from its left end
    FIRE, RIGHT, LEFT = 1, 2, 3

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.ball, self.aim = rng, Ball(57, 201), 0.0

    def act(self, memory: np.ndarray, last: int) -> int:
        x, y, paddle = int(memory[99]), int(memory[101]), int(memory[72])
        if y == 0:
            self.ball.lost()
            return self.FIRE
        target, steps = float(x), 9.0
        if (way := self.ball.seen(x, y)) is not None:
            if way[1] > 0:
                steps = (self.PADDLE - y) / way[1]
                target = self.ball.landing(x, way[0], steps)
            else:
                self.aim = self.rng.uniform(-6, 6)
        moving = {self.RIGHT: 11, self.LEFT: -11}.get(last, 0)
        error = target + self.aim - (paddle + self.NEAR + moving)
        return {0: 0, 1: self.RIGHT, -1: self.LEFT}[pressed(error, steps, self.LEAST)]


def planned(error: float, steps: float, reach: tuple[float, ...]) -> int:
    """Likewise, where a press moves the paddle by `reach[n - 1]` until n steps later: the first of the best presses.

    Before the last few steps, half a whole press is the most that is left; in these all ways to press are compared.
    """
    left = int(np.ceil(steps))
    if left > len(reach):
        return int(np.sign(error)) if abs(error) > reach[-1] / 2 else 0
    ways = np.array(list(itertools.product((0, -1, 1), repeat=max(left, 1))))  # (3^n, n), without a press first
    away = np.abs(error - ways @ np.array(reach[: max(left, 1)][::-1]))
    return int(ways[np.argmin(away)][0])


class Pong:
    """Stands where the ball will come, and hits it near the upper end of the paddle.

    A press moves the paddle by 8, and by 11 and 3 more in the steps after it.
    """

    REACH = (8.3, 19.2, 22.5)
    PADDLE, NEAR = 187, 8
    AIMS = (7.0, 5.0)  # from the middle: there it is sent away so steeply that the other one often misses it
    UP, DOWN = 2, 3

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.ball, self.aim, self.presses = rng, Ball(46, 203), 0.0, [0, 0]

    def act(self, memory: np.ndarray, last: int) -> int:
        x, y, paddle = int(memory[49]), int(memory[54]), int(memory[51])
        self.presses = [{self.DOWN: 1, self.UP: -1, 4: -1, 5: 1}.get(last, 0), self.presses[0]]  # 4, 5: with FIRE
        target, steps = 120.0, 9.0
        if x == 0 or y == 0:
            self.ball.lost()
            self.aim = self.rng.choice(self.AIMS)
        elif (way := self.ball.seen(y, x)) is not None:
            if way[1] > 0 and x < self.PADDLE:
                steps = (self.PADDLE - x) / way[1]
                target = self.ball.landing(y, way[0], (self.PADDLE + 1 - x) / way[1]) + self.aim
            elif way[1] < 0:
                self.aim = self.rng.choice(self.AIMS)
        moving = (10.9 if steps <= 1 else 14.2) * self.presses[0] + 3.3 * self.presses[1]
        error = target - (paddle + self.NEAR + moving)
        return {0: 0, 1: self.DOWN, -1: self.UP}[planned(error, steps, self.REACH)]


class Qbert:
    """Hops to the nearest tile that has not the colour which its last hop made; heeds no enemy.

    Tiles are (row, place in the row) of a pyramid of six rows. Q*bert rests on one where he stays in place for a step.
    """

    TILES = tuple((row, place) for row in range(6) for place in range(row + 1))
    COLOURS = (21, 52, 54, 83, 85, 87, 98, 100, 102, 104, 1, 3, 5, 7, 9, 32, 34, 36, 38, 40, 42)  # in the memory
    HOPS = ((2, (-1, 0)), (3, (1, 1)), (4, (-1, -1)), (5, (1, 0)))  # action: up right, down right, up left, down left

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.place = (0, 0)
        self.made: int | None = None  # the colour that the last hop made
        self.colours: dict[tuple[int, int], int] = {}

    def act(self, memory: np.ndarray, last: int) -> int:
        before, self.place = self.place, (int(memory[43]), int(memory[67]))
        tile = self.tile(*self.place)
        if self.place != before or tile is None:
            return 0
        colours = {each: int(memory[place]) for each, place in zip(self.TILES, self.COLOURS, strict=True)}
        changed = [each for each in self.TILES if self.colours and colours[each] != self.colours[each]]
        if len(changed) > 5:  # a new pyramid
            self.made = None
        elif tile in changed:  # others are undone by somebody else
            self.made = colours[tile]
        self.colours = colours
        wanted = {each for each in self.TILES if colours[each] != self.made} - {tile}
        return self.way(tile, wanted or set(self.TILES) - {tile})

    @classmethod
    def tile(cls, x: int, y: int) -> tuple[int, int] | None:
        """The tile at a place of the screen, as the memory has it: 12 left and 28 down a row, 16 over the middle."""
        row = round((y - 25) / 28)
        left = round((77 - x) / 12) if x <= 77 else -round((x - 81) / 12)
        found = (row, (row - left) // 2)
        level = x > 0 and abs(y - 25 - 28 * row) <= 2 and (row - left) % 2 == 0
        return found if level and found in cls.TILES else None

    def way(self, tile: tuple[int, int], wanted: set[tuple[int, int]]) -> int:
        """The first hop of a shortest way to one of the wanted tiles, by breadth first search."""
        hops = [self.HOPS[place] for place in self.rng.permutation(len(self.HOPS))]
        first, queue = {tile: 0}, [tile]
        for here in queue:
            if here in wanted:
                return first[here]
            for action, (down, along) in hops:
                there = (here[0] + down, here[1] + along)
                if there in self.TILES and there not in first:
                    first[there] = first[here] or action
                    queue.append(there)
        return 0


class Seaquest:
    """Lies level with the nearest enemy and shoots; dives past nobody; comes up for air once it has a diver aboard.

    Enemies swim in four lanes, up to three of them 16 apart, and all bob up and down together by 8.
    """

    LANES = ((33, 39), (32, 38), (31, 37), (30, 36))  # where the memory has their left end and which of three there are
    BOB, TOP, LANE = 93, 28, 24  # how far down they have bobbed; how deep to lie for the first lane; from lane to lane
    LEVEL, NEAR, REACH = 2, 52, 64  # off by so much a shot still hits; too near to dive past; near enough to be shot at
    SURFACE, AIR_LOW, AIR_FULL = 14, 12, 60
    SHOOT: ClassVar = {
        (-1, 0): 10,
        (0, 1): 11,
        (0, -1): 12,
        (1, 0): 13,
        (-1, 1): 14,
        (-1, -1): 15,
        (1, 1): 16,
        (1, -1): 17,
    }

    def __init__(self, rng: np.random.Generator) -> None:
        self.before: np.ndarray | None = None  # the memory, one step ago

    def act(self, memory: np.ndarray, last: int) -> int:
        x, depth, air, divers = (int(memory[place]) for place in (70, 97, 102, 62))
        enemies, self.before = self.enemies(memory), memory
        levels = [self.TOP + self.LANE * lane + int(memory[self.BOB]) for lane in range(4)]
        if depth <= self.SURFACE and 0 < air < self.AIR_FULL:
            return 0
        near = {levels[lane] for lane, enemy in enemies if abs(enemy - x) < self.NEAR}
        if air < self.AIR_LOW and divers and not any(2 < depth - level < self.LANE + 2 for level in near):
            return self.SHOOT[-1, 0]
        here = min(range(4), key=lambda lane: abs(levels[lane] - depth))
        beside = [enemy for lane, enemy in enemies if lane == here and abs(enemy - x) < self.REACH]
        if beside:
            nearest = min(beside, key=lambda enemy: abs(enemy - x))
            return self.SHOOT[self.towards(levels[here] - depth), 1 if nearest > x else -1]

        def cost(lane: int, enemy: int) -> float:
            low, high = sorted((levels[here], levels[lane]))
            met = sum(low <= level <= high and level != levels[here] for level in near)
            return abs(enemy - x) / 3 + abs(levels[lane] - depth) + 80 * met

        lane, enemy = min(enemies, key=lambda one: cost(*one), default=(1, 159 - x))
        dive = self.towards(levels[lane] - depth)
        if dive and cost(lane, enemy) < 80:
            return self.SHOOT[dive, 0]
        return self.SHOOT[0, (1 if enemy > x else -1) * (-1 if dive else 1)]  # flee, if there is no way to dive

    def enemies(self, memory: np.ndarray) -> list[tuple[int, int]]:
        """The lane of each enemy, and where in it the enemy will be a step later."""
        found = []
        for lane, (place, which) in enumerate(self.LANES):
            left = int(memory[place])
            moved = 0 if self.before is None else left - int(self.before[place])
            left += (moved if abs(moved) < 6 else 0) - 256 * (left > 200)
            found += [(lane, left + 16 * each) for each in range(3) if memory[which] & 4 >> each]
        return [(lane, x) for lane, x in found if -8 < x < 160]

    def towards(self, off: int) -> int:
        """-1 to rise, 1 to sink, 0 to stay."""
        return 0 if abs(off) <= self.LEVEL else int(np.sign(off))
