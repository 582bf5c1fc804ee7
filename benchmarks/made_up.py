"""Made-up data for the clocks: noise of hopper's shapes, in episodes as long as those of D4RL's hopper-medium."""

import numpy as np

from trajectories.catalog import environment
from trajectories.types import Provenance, Spec, Trajectories

HOPPER = Spec("hopper", (11,), (3,), 1000)
EPISODE = 458  # steps, the mean of D4RL's hopper-medium


def noise(steps: int) -> Trajectories:
    """So many steps; the last episode may be short."""
    rng = np.random.default_rng(0)
    return Trajectories.of(
        HOPPER,
        Provenance("made-up", "benchmark", ""),
        observations=rng.standard_normal((steps, 11), dtype=np.float32),
        actions=rng.uniform(-1, 1, (steps, 3)).astype(np.float32),
        rewards=rng.random(steps, dtype=np.float32),
        terminated=np.zeros(steps, bool),
        starts=np.append(np.arange(0, steps, EPISODE), steps),
    )


def frames(steps: int) -> Trajectories:
    """Noise of breakout's shapes."""
    rng = np.random.default_rng(0)
    return Trajectories.of(
        environment("breakout").spec(),
        Provenance("made-up", "benchmark", ""),
        observations=rng.integers(256, size=(steps, 84, 84), dtype=np.uint8),
        actions=rng.integers(4, size=steps),
        rewards=rng.random(steps, dtype=np.float32),
        terminated=np.zeros(steps, bool),
        starts=np.append(np.arange(0, steps, 1000), steps),
    )
