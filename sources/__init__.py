"""Where experience comes from: loading.py is the front door; behind it what fetches, records, collects and exports."""

import trajectories  # noqa: F401  before torch is imported
