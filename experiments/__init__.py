"""The verbs: run, benchmark, report, play, data, prompts, plan."""

import trajectories  # noqa: F401  before torch is imported
