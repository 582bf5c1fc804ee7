"""The verbs: run, benchmark, report, play, data, prompts, plan, export."""

import trajectories  # noqa: F401  before torch is imported
