"""Where experience comes from: one front door, `load`, and what fetches, rolls out, collects and exports."""

from sources.loading import Request, load

__all__ = ["Request", "load"]
