"""Trajectory Transformer: a language model of trajectories, and beam search for the ones that pay."""

import trajectories  # noqa: F401  before torch is imported
