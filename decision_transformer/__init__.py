"""Decision Transformer: ask for a return, get the action that earns it."""

import trajectories  # noqa: F401  before torch is imported
