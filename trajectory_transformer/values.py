"""Returns discounted over the rest of an episode, for a whole data set at once.

Shapes   N steps of E episodes
"""

import numpy as np

BLOCK = 2**17  # steps whose values are computed at once: what they need then fits the processor's cache


def values(rewards: np.ndarray, starts: np.ndarray, discount: float) -> np.ndarray:
    """The value of each step, (N,) float32: r[t+1] + discount r[t+2] + ... to its episode's end."""
    computed = np.empty(len(rewards), np.float32)
    first = 0  # episode
    while first < len(starts) - 1:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + BLOCK, side="right")) - 1)
        rows = slice(starts[first], starts[last])
        computed[rows] = _values(rewards[rows], starts[first : last + 1] - starts[first], discount)
        first = last
    return computed


def _values(rewards: np.ndarray, starts: np.ndarray, discount: float) -> np.ndarray:
    """By doubling: after k rounds an entry holds the first 2^k terms of its sum, so that an episode of a thousand steps
    takes ten passes over the columns instead of a thousand steps in Python."""
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
    if not terminated.any():
        return rewards
    return np.where(terminated, np.float32(penalty), rewards).astype(np.float32)
