"""Made-up data for the clocks: noise of hopper's shapes, in episodes as long as those of D4RL's hopper-medium."""

import numpy as np

from trajectories.catalog import environment
from trajectories.parts import Part, pack, to_bytes
from trajectories.strings import Strings
from trajectories.text import Text
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


def noise_of(spec: Spec, steps: int, episode: int = 50) -> Trajectories:
    """So many steps of any task that shows no images; named as its spec is."""
    rng = np.random.default_rng(0)
    columns = {part.name: _noise_of_part(part, rng, steps) for part in spec.parts}
    plain = rng.standard_normal((steps, *spec.observation_shape), dtype=np.float32)
    acted = rng.uniform(-1, 1, (steps, *spec.action_shape)).astype(np.float32)
    return Trajectories.of(
        spec,
        Provenance(spec.name, "benchmark", ""),
        observations=pack(columns, spec.parts) if spec.parts else plain,
        actions=acted if spec.actions is None else rng.integers(spec.actions, size=steps),
        rewards=rng.random(steps, dtype=np.float32),
        terminated=np.zeros(steps, bool),
        starts=np.append(np.arange(0, steps, episode), steps),
    )


def _noise_of_part(part: Part, rng: np.random.Generator, steps: int) -> np.ndarray:
    if part.kind == "text":
        return to_bytes(["go to the red ball"] * steps)
    if part.kind == "float":
        return rng.standard_normal((steps, *part.shape)).astype(part.dtype)
    return rng.integers(part.sizes or 256, size=(steps, *part.shape)).astype(part.dtype)


def words(size: int) -> Text:
    """Documents of words of noise, as frequent as words are (Zipf), of so many bytes in all."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    known = ["".join(rng.choice(letters, length)) for length in rng.integers(2, 10, size=3_000)]
    share = 1 / np.arange(1, len(known) + 1)
    drawn = rng.choice(known, size // 6, p=share / share.sum())
    documents = [" ".join(some) + "\n" for some in np.array_split(drawn, 20)]
    return Text.of(Provenance("words", "benchmark", ""), Strings.of(documents), np.arange(20) % 10 == 9)


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
