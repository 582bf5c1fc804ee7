"""Where experience comes from: one front door, `load`, and what fetches, rolls out, collects and exports."""

import trajectories  # noqa: F401  before torch is imported
from sources.loading import Request, load

__all__ = ["Request", "load"]
