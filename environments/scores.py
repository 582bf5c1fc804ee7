"""Normalized scores: 0 is a random policy, 100 an expert, by the reference scores of the environment's row.

Source   D4RL (Fu et al. 2020, arXiv:2004.07219), section 5: 100 (return - random) / (expert - random). Of Atari, where
         the expert is a human, the same formula is Mnih et al. 2015's
Rounded  the Decision Transformer's paper rounds Atari's reference scores to whole numbers: Breakout's 1.7 and 30.5 to 2
         and 30, which makes of 76.9 points 267.5 and not 261.1
"""

import numpy as np

from trajectories.catalog import environment
from trajectories.errors import UserError


def normalized(name: str, returns: np.ndarray, rounded: bool = False) -> np.ndarray:
    """Returns in the environment's units -> normalized scores, of the same shape.

    Args:
        rounded: by the reference scores as a paper rounds them, to stand beside that paper's numbers only.

    Raises:
        UserError: an unknown environment, or one of which no rounded scores are known.
    """
    row = environment(name)
    low, high = row.random_score, row.expert_score
    if rounded:
        if not row.rounded_scores:
            raise UserError(f"No paper gives rounded scores of {name}: normalize it by the exact ones.")
        low, high = row.rounded_scores
    return 100 * (np.asarray(returns, np.float64) - low) / (high - low)
