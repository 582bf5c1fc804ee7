"""Speed and memory, each a ratio measured in one run: python -m benchmarks."""

import trajectories  # noqa: F401  before torch is imported
