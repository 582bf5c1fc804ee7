"""The machine: settings, training, evaluation, records."""

import trajectories  # noqa: F401  before torch is imported
