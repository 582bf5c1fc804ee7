"""Returns discounted over the rest of an episode, for a whole data set at once.

Shapes   N steps of E episodes
"""

import numpy as np


def values(rewards: np.ndarray, starts: np.ndarray, discount: float) -> np.ndarray:
    """The value of each step, (N,) float32: r[t+1] + discount r[t+2] + ... to its episode's end.

    By doubling: after k rounds an entry holds the first 2^k terms of its sum, so that an episode of a thousand steps
    takes ten passes over the columns instead of a thousand steps in Python.
    """
    steps = np.arange(len(rewards))
    left = np.repeat(starts[1:], np.diff(starts)) - steps  # steps to the episode's end, this one included
    ahead = np.asarray(rewards, np.float64).copy()  # becomes the discounted return from each step on
    reach = 1
    while reach < np.diff(starts).max():
        inside = np.flatnonzero(left[:-reach] > reach)  # the step `reach` later belongs to the same episode
        ahead[inside] = ahead[inside] + discount**reach * ahead[inside + reach]
        reach *= 2
    following = np.append(ahead[1:], 0.0)
    following[starts[1:] - 1] = 0.0
    return following.astype(np.float32)


def penalized(rewards: np.ndarray, terminated: np.ndarray, penalty: float) -> np.ndarray:
    """A step that ends the task is paid the penalty (jannerm, trajectory/datasets/sequence.py:80-83 at 8834a6e)."""
    return np.where(terminated, np.float32(penalty), rewards).astype(np.float32)
