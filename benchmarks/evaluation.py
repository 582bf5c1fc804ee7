"""An evaluation of the Decision Transformer: a hundred episodes played together, against one after the other.

Peer     the same model, player and environments, one episode at a time, as the authors' evaluation plays (kzl,
         gym/decision_transformer/evaluation/evaluate_episodes.py); a few episodes of the hundred, scaled up
Task     halfcheetah, whose episodes never end early, cut after twice the context: an untrained agent's falls decide
         nothing
"""

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.timing import paired
from decision_transformer.model import Config, DecisionTransformer
from environments.interface import Environments, Step
from environments.make import make
from experiments.evaluate import begin, episode_seeds, play
from trajectories.types import Spec

EPISODES = 100
STEPS = 40
ALONE = 3  # episodes of the peer's that are measured


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    return [together(EPISODES, STEPS, ALONE)]


def together(episodes: int, steps: int, alone: int) -> dict[str, object]:
    torch.manual_seed(0)
    many, one = Short(make("halfcheetah", episodes), steps), Short(make("halfcheetah", 1), steps)
    model = DecisionTransformer(Config(), many.spec).eval()
    seeds = episode_seeds(episodes)

    def ours() -> None:
        play(begin(model, episodes, 6000.0, seeds[0], None), many, seeds)

    def peer() -> None:
        for seed in seeds[:alone]:
            play(begin(model, 1, 6000.0, seed, None), one, (seed,))

    mine, theirs, ratio = paired(ours, peer, pairs=3, warm=1)
    many.close()
    one.close()
    scale = episodes / alone
    return {
        "what": f"DT: {episodes} evaluation episodes of {steps} steps",
        "ours": f"{mine:.2f} s",
        "peer": f"{theirs * scale:.2f} s",
        "ratio": ratio * scale,
        "note": f"together, against one after the other; {mine / episodes / steps * 1e3:.2f} ms a step",
    }


class Short:
    """Environments whose episodes end after a few steps."""

    def __init__(self, environments: Environments, steps: int) -> None:
        self._environments = environments
        self._steps = steps
        self._taken = 0

    @property
    def spec(self) -> Spec:
        return self._environments.spec

    @property
    def count(self) -> int:
        return self._environments.count

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        self._taken = 0
        return self._environments.reset(seeds, only)

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        self._taken += 1
        step = self._environments.step(actions, live)
        return step._replace(truncated=step.truncated | (live & (self._taken >= self._steps)))

    def render(self, index: int) -> np.ndarray:
        return self._environments.render(index)

    def close(self) -> None:
        self._environments.close()


if __name__ == "__main__":
    for row in measure():
        print(row)
