"""Trajectory Transformer: a language model of trajectories, and beam search for the ones that pay."""

import trajectories  # noqa: F401  before torch is imported
from trajectory_transformer.config import Config
from trajectory_transformer.model import TrajectoryTransformer

__all__ = ["Config", "TrajectoryTransformer"]
