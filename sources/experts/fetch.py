"""The Fetch robot's tasks done by rules: which place the gripper has to go to, from where it and the block are.

Each rule looks at the present observation alone, so that a policy can learn it. The noise is recorded with the actions:
it shows states beside the shortest way, and how to come back.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from trajectories.rows import EnvironmentRow

VERSION = 1
NOISE = 0.1  # standard deviation, of every number of an action
GAIN = 10.0  # an action of 1 moves the hand by 5 cm: half of what is left, at most
OPEN, CLOSE = 1.0, -1.0
HAND, BLOCK, FINGERS = slice(0, 3), slice(3, 6), slice(9, 11)  # of an observation; its last three are the goal


def reach(now: np.ndarray) -> np.ndarray:
    """To the goal, in a straight line."""
    return _action(now, now[-3:], 0.0)


def pick_and_place(now: np.ndarray) -> np.ndarray:
    """Above the block, down to it, close the fingers, and to the goal."""
    block, away = now[BLOCK], now[BLOCK] - now[HAND]
    aside = np.linalg.norm(away[:2])
    if np.linalg.norm(away) > 0.02 or aside > 0.015:
        return _action(now, block + np.array([0, 0, 0.05 if aside > 0.015 else 0.0]), OPEN)
    held = now[FINGERS].sum() < 0.055  # m between them; the block is 5 cm wide
    return _action(now, now[-3:] if held else block, CLOSE)


def push(now: np.ndarray) -> np.ndarray:
    """Over the block to the side away from the goal, down, and towards the goal, the block ahead of the hand."""
    block, goal, hand = now[BLOCK], now[-3:], now[HAND]
    left = float(np.linalg.norm(goal[:2] - block[:2]))
    ahead = (goal[:2] - block[:2]) / max(left, 1e-6)
    across = np.array([-ahead[1], ahead[0]])
    behind, beside = (block[:2] - hand[:2]) @ ahead, abs((block[:2] - hand[:2]) @ across)  # of the hand
    if left < 0.02:
        return _action(now, hand, CLOSE)
    low = hand[2] < block[2] + 0.03
    if low and behind > 0.03 and beside < 0.015:
        return _action(now, np.array([*(block[:2] + (min(left, 0.06) - 0.045) * ahead), block[2]]), CLOSE)
    start = np.array([*(block[:2] - 0.07 * ahead), block[2]])
    if np.linalg.norm(start[:2] - hand[:2]) > 0.02 and not (low and behind > 0.03 and beside < 0.05):
        start[2] += 0.07
        if hand[2] < block[2] + 0.05:  # up first, not into the block
            start[:2] = hand[:2]
    return _action(now, start, CLOSE)


RULES = {"fetch-reach": reach, "fetch-pick-and-place": pick_and_place, "fetch-push": push}


class RuleExpert:
    """Acts by a rule, with noise; see `sources.experts.interface.Expert`."""

    def __init__(self, rule: Callable[[np.ndarray], np.ndarray]) -> None:
        self._rule = rule
        self._generator = np.random.default_rng()

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        self._generator = generator

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        action = np.clip(self._rule(observation.astype(np.float64)), -1, 1)
        return action + NOISE * self._generator.standard_normal(4)


def _action(now: np.ndarray, target: np.ndarray, fingers: float) -> np.ndarray:
    return np.append(GAIN * (target - now[HAND]), fingers)


def has_expert(row: EnvironmentRow) -> bool:
    return row.name in RULES


def expert(row: EnvironmentRow) -> RuleExpert:
    return RuleExpert(RULES[row.name])
