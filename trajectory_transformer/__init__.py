"""Trajectory Transformer: a language model of trajectories, and beam search for the ones that pay."""

from trajectory_transformer.model import Config, TrajectoryTransformer

__all__ = ["Config", "TrajectoryTransformer"]
