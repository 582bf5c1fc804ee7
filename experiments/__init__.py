"""The verbs: run, benchmark, report, play, data, prompts."""

import trajectories  # noqa: F401  before torch is imported
