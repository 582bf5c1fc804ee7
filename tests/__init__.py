"""Sentences, one file a room, and a battery that runs on every model."""

import trajectories  # noqa: F401  before torch is imported
