"""What the tests are too short for: damaged files, kills, power cuts and lying servers, hundreds of each."""

import trajectories  # noqa: F401  before torch is imported
