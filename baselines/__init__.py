"""What every idea has to beat."""

import trajectories  # noqa: F401  before torch is imported
