"""Actions in the environment's own range, and in [-1, 1], in which models learn and act.

Bounds   those of the environment, which stretches what a model gives by itself; where it has none, the smallest and
         largest action of the data, which the spec keeps, so that in play they are scaled back alike
Still    a number whose bounds coincide is 0 for models, and its only value in play
Outside  what leaves the environment's bounds is clipped to them, as in play, with a caveat
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trajectories.rows import EnvironmentRow
from trajectories.types import Spec, Trajectories

ROUNDING = 1e-6  # of the distance of the bounds: an action that is so far outside is not outside


def scaled(data: Trajectories, row: EnvironmentRow) -> Trajectories:
    """Trajectories whose continuous actions are scaled to [-1, 1]; their details have the range."""
    if data.spec.discrete:
        return data
    actions, details, spec = data.actions, dict(data.origin.details), data.spec
    lowest, highest = actions.min(axis=0), actions.max(axis=0)
    low, high = (np.reshape(bound, spec.action_shape) for bound in row.action_bounds)
    low = np.where(np.isinf(low), np.minimum(lowest, high), low)
    high = np.where(np.isinf(high), np.maximum(highest, low), high)
    outside = np.maximum(low - lowest, highest - high) > ROUNDING * (high - low)
    if outside.any():
        share = ((actions < low) | (actions > high)).reshape(len(actions), -1).any(axis=1).mean()
        reached = f"they reach from {lowest[outside].min():.4g} to {highest[outside].max():.4g}"
        caveat = f"{share:.1%} of the actions leave {row.name}'s bounds ({reached}): they are clipped, as in play."
        details["caveats"] = [*details.get("caveats", ()), caveat]
        actions = np.clip(actions, low, high).astype(np.float32)
    if row.action_low:
        whose = "the data's own range, for want of bounds" if row.unbounded else "the environment's bounds"
        details["actions"] = f"scaled from {_ranges(low.ravel(), high.ravel())} ({whose}) to [-1, 1]"
        distance = np.where(high > low, high - low, np.inf)  # a number that cannot move is 0
        actions = np.where(high > low, 2 * (actions.astype(np.float64) - low) / distance - 1, 0).astype(np.float32)
    if row.unbounded:
        spec = replace(spec, action_low=tuple(low.ravel().tolist()), action_high=tuple(high.ravel().tolist()))
    return replace(data, spec=spec, actions=actions, origin=replace(data.origin, details=details))


def stretched(actions: np.ndarray, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """Actions in the environment's range, from actions that are clipped to [-1, 1]; float64.

    Args:
        actions: (*act) or (N, *act).
        low, high: the values of -1 and 1, flat.
    """
    bottom, distance = np.asarray(low), np.subtract(high, low)
    rows = np.clip(actions, -1, 1).astype(np.float64).reshape(-1, len(bottom))
    return (bottom + (rows + 1) / 2 * distance).reshape(actions.shape)


def bounds(spec: Spec, row: EnvironmentRow) -> tuple[Sequence[float], Sequence[float]]:
    """The values of -1 and 1 in data with this spec, flat: the data's own range or the environment's bounds."""
    return (spec.action_low, spec.action_high) if spec.action_low else row.action_bounds


def _ranges(low: np.ndarray, high: np.ndarray) -> str:
    """Bounds as text: up to three different ones, or else the widest."""
    each = list(dict.fromkeys(f"{bottom:.4g} to {top:.4g}" for bottom, top in zip(low, high, strict=True)))
    return ", ".join(each) if len(each) <= 3 else f"ranges within {low.min():.4g} to {high.max():.4g}"
