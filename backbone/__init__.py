"""Parts that at least two models share, and the contract of a model."""

import trajectories  # noqa: F401  before torch is imported
