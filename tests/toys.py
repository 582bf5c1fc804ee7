"""Made-up data and small models that several test files share."""

from collections.abc import Sequence

import numpy as np

from backbone.interface import SequenceModel
from training.registry import find_named
from trajectories.parts import TEXT, Part, pack, row_size, to_bytes
from trajectories.types import Provenance, Spec, Trajectories

POINT = Spec("point", (3,), (2,), max_episode_steps=12)
CHOICES = Spec("choices", (3,), (), max_episode_steps=12, actions=5)
SCREEN = Spec("screen", (4, 36, 36), (), max_episode_steps=12, actions=5, observation_dtype="uint8", frame_stack=4)
PARTS = (
    Part(("cells",), (2, 2, 2), "integer", "uint8", (3, 4)),
    Part(("facing",), (), "integer", "int64", (4,)),
    Part(("mission",), (TEXT,), "text", "uint8"),
    Part(("picture",), (16, 16, 3), "image", "uint8"),
    Part(("speed",), (2,), "float", "float32"),
)
MISSION = Spec("mission", (row_size(PARTS),), (), 12, actions=5, observation_dtype="uint8", parts=PARTS)
SENTENCES = ("go to the red ball", "open a door", "put the grey box next to the yellow key")

# Small enough for a test, and still with everything that the real ones have.
SMALL: dict[str, dict[str, object]] = {
    "bc": {"context": 4, "batch_size": 8, "width": 32},
    "nearest": {"neighbors": 3},
    "dt": {"context": 4, "batch_size": 8, "width": 32, "return_scale": 10.0},
    "tt": {"context": 4, "batch_size": 8, "width": 32, "layers": 2, "bins": 20, "horizon": 2, "beam_width": 4},
    "gato": {"context": 4, "batch_size": 8, "width": 32, "heads": 2, "head_width": 16, "hidden": 64, "layers": 2},
}


# What else is small where there are images.
SMALL_ON_IMAGES: dict[str, dict[str, object]] = {
    "dt": {"layers": 2, "heads": 2},
    "gato": {"patch_width": 8, "patch_groups": 4},
    "tt": {"bins": 512, "prefix": 0, "tokenizer_updates": 3, "tokenizer_batch": 8, "tokenizer_width": 8},
}


# And where observations have parts: a transition is then some hundred tokens to a Trajectory Transformer.
SMALL_ON_PARTS: dict[str, dict[str, object]] = {
    "gato": {"patch_width": 8, "patch_groups": 4},
    "tt": {"context": 3, "layers": 1},
}


def walk(lengths: Sequence[int], seed: int = 0, spec: Spec = POINT) -> Trajectories:
    """Episodes of the given lengths, of noise; the shorter ones than the horizon end by termination."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(starts[-1])
    terminated = np.zeros(steps, bool)
    terminated[starts[1:] - 1] = np.asarray(lengths) < spec.max_episode_steps
    return Trajectories.of(
        spec,
        Provenance(spec.name, "made-up", "0"),
        observations=random_observations(rng, spec, (steps, *spec.frame_shape)),
        actions=done(rng, spec, steps),
        rewards=rng.normal(size=steps).astype(np.float32),
        terminated=terminated,
        starts=starts,
    )


def random_observations(rng: np.random.Generator, spec: Spec, shape: tuple[int, ...]) -> np.ndarray:
    """Noise such as an environment might show."""
    if spec.parts:
        steps = int(np.prod(shape[:-1]))
        columns = {part.name: _random_part(rng, part, steps) for part in spec.parts}
        return pack(columns, spec.parts).reshape(shape)
    if spec.observation_dtype == "uint8":
        return rng.integers(256, size=shape, dtype=np.uint8)
    return rng.normal(3, 2, shape).astype(np.float32)


def _random_part(rng: np.random.Generator, part: Part, steps: int) -> np.ndarray:
    if part.kind == "text":
        return to_bytes(SENTENCES[place] for place in rng.integers(len(SENTENCES), size=steps))
    if part.kind == "float":
        return rng.normal(3, 2, (steps, *part.shape)).astype(np.float32)
    return rng.integers(part.sizes or 256, size=(steps, *part.shape)).astype(part.dtype)


def done(rng: np.random.Generator, spec: Spec, steps: int) -> np.ndarray:
    """Noise such as an agent might do."""
    if spec.actions is not None:
        return rng.integers(spec.actions, size=steps)
    return rng.uniform(-1, 1, (steps, *spec.action_shape)).astype(np.float32)


SMALL["tt"]["planning_context"] = 3
SMALL["gato"] |= {"prompt_steps": 1, "decoding": "likely"}


def small(name: str, data: Trajectories, **changes: object) -> SequenceModel:
    """A small model of that name, calibrated to the data, ready to act."""
    entry = find_named(name, data.spec)
    more = SMALL_ON_IMAGES if entry.of_images else SMALL_ON_PARTS if getattr(data.spec, "parts", ()) else {}
    settings = {**SMALL.get(name, {}), **more.get(name, {}), **changes}
    model = entry.model(entry.config(**settings), data.spec)  # type: ignore[arg-type]
    model.calibrate(data)
    return model.eval()
