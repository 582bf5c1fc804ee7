"""Actions between an environment's own bounds, as it and files have them, and within [-1, 1], as models give them."""

import numpy as np

from trajectories.catalog import EnvironmentRow


def scaled(actions: np.ndarray, row: EnvironmentRow) -> np.ndarray:
    """Actions between the environment's own bounds as models give them, within [-1, 1]."""
    low, high = (np.array(bound).reshape(row.action_shape) for bound in (row.action_low, row.action_high))
    return (2 * (actions.astype(np.float64) - low) / (high - low) - 1).astype(np.float32)
