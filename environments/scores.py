"""Normalised scores: 0 is a random policy, 100 an expert, by the reference scores of the environment's row.

Source   D4RL (Fu et al. 2020, arXiv:2004.07219), section 5: 100 (return - random) / (expert - random)
"""

import numpy as np

from trajectories.catalog import environment


def normalized(name: str, returns: np.ndarray) -> np.ndarray:
    """Returns in the environment's units -> D4RL's normalised scores, of the same shape.

    Raises:
        UserError: an unknown environment.
    """
    row = environment(name)
    return 100 * (np.asarray(returns, np.float64) - row.random_score) / (row.expert_score - row.random_score)
