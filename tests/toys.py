"""Made-up data and small models that several test files share."""

from collections.abc import Sequence

import numpy as np

from backbone.interface import SequenceModel
from experiments.registry import find
from trajectories.types import Origin, Spec, Trajectories

POINT = Spec("point", (3,), (2,), horizon=12)

# Small enough for a test, and still with everything that the real ones have.
SMALL: dict[str, dict[str, object]] = {
    "bc": {"context": 4, "batch_size": 8, "width": 32},
    "dt": {"context": 4, "batch_size": 8, "width": 32, "return_scale": 10.0},
    "tt": {"context": 4, "batch_size": 8, "width": 32, "layers": 2, "bins": 20, "horizon": 2, "beam_width": 4},
    "gato": {"context": 4, "batch_size": 8, "width": 32, "heads": 2, "head_width": 16, "hidden": 64, "layers": 2},
}


def walk(lengths: Sequence[int], seed: int = 0, spec: Spec = POINT) -> Trajectories:
    """Episodes of the given lengths, of noise; the shorter ones than the horizon end by termination."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(starts[-1])
    terminated = np.zeros(steps, bool)
    terminated[starts[1:] - 1] = np.asarray(lengths) < spec.horizon
    return Trajectories.of(
        spec,
        Origin(spec.name, "made-up", "0"),
        observations=rng.normal(3, 2, (steps, *spec.observation_shape)).astype(np.float32),
        actions=rng.uniform(-1, 1, (steps, *spec.action_shape)).astype(np.float32),
        rewards=rng.normal(size=steps).astype(np.float32),
        terminated=terminated,
        starts=starts,
    )


SMALL["tt"]["planning_context"] = 3
SMALL["gato"] |= {"prompt_steps": 1, "decoding": "likely"}


def small(name: str, data: Trajectories, **changes: object) -> SequenceModel:
    """A small model of that name, calibrated to the data, ready to act."""
    entry = find(name)
    model = entry.model(entry.config(**{**SMALL[name], **changes}), data.spec)  # type: ignore[arg-type]
    model.calibrate(data)
    return model.eval()
