"""An evaluation of the Decision Transformer: a hundred episodes played together, against one after the other.

Peers    transformers' DecisionTransformerModel, one episode at a time, its window grown and padded at every step as the
         authors' evaluation does (kzl, gym/decision_transformer/evaluation/evaluate_episodes.py and get_action);
         and our own model and player, one episode at a time, which shows the effect of batching alone. Ours act in
         bf16, as a run does by default
Task     halfcheetah, whose episodes never end early, cut after twice the context: an untrained agent's falls decide
         nothing. Of the peers a few episodes are measured and scaled up to the hundred
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import playing
from benchmarks.decision_transformer import port
from decision_transformer.config import Config
from decision_transformer.model import DecisionTransformer
from environments.interface import Environments, Step, Wrapped
from environments.make import make
from training.cli import exit_on_user_error
from training.evaluate import episode_seeds, play
from trajectories.types import Spec

EPISODES = 100
STEPS = 40
ALONE = 3  # episodes of the peers' that are measured
TARGET = 6000.0  # target return
WINDOW = 20  # steps


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    return together(EPISODES, STEPS, ALONE)


def together(episodes: int, steps: int, alone: int) -> list[dict[str, object]]:
    torch.manual_seed(0)
    many, one = Short(make("halfcheetah", episodes), steps), Short(make("halfcheetah", 1), steps)
    model, theirs = DecisionTransformer(Config(), many.spec).eval(), port(many.spec).train(False)
    seeds = episode_seeds(episodes)

    def port_alone() -> None:
        for seed in seeds[:alone]:
            play(PortPlayer(theirs, many.spec), one, (seed,))

    rows = playing.together(
        f"DT: {episodes} evaluation episodes of {steps} steps",
        lambda: playing.played(model, many, TARGET, seeds),
        {
            "transformers' port one after the other": port_alone,
            "ours one after the other": lambda: playing.played(model, one, TARGET, seeds[:alone]),
        },
        episodes, steps, alone,
    )  # fmt: skip
    many.close()
    one.close()
    return rows


class PortPlayer:
    """One episode, played as the port's users play it."""

    def __init__(self, model: nn.Module, spec: Spec) -> None:
        self.model, self.spec = model, spec
        self.states = torch.zeros(0, spec.observation_size)
        self.actions = torch.zeros(0, spec.action_size)
        self.returns = torch.zeros(0, 1)
        self.owed = TARGET

    @torch.no_grad()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        self.owed -= float(rewards[0])
        self.states = torch.cat([self.states, torch.from_numpy(observations).float()])
        self.actions = torch.cat([self.actions, torch.zeros(1, self.spec.action_size)])
        self.returns = torch.cat([self.returns, torch.tensor([[self.owed / 1000]])])
        length = min(len(self.states), WINDOW)
        missing = WINDOW - length

        def padded(column: Tensor) -> Tensor:
            return torch.cat([torch.zeros(missing, column.shape[1]), column[-length:]])[None]

        times = torch.arange(len(self.states) - length, len(self.states))
        output = self.model(
            states=padded(self.states),
            actions=padded(self.actions),
            rewards=torch.zeros(1, WINDOW, 1),
            returns_to_go=padded(self.returns),
            timesteps=torch.cat([torch.zeros(missing, dtype=torch.long), times])[None],
            attention_mask=torch.cat([torch.zeros(missing), torch.ones(length)]).long()[None],
        )
        self.actions[-1] = output.action_preds[0, -1]
        return self.actions[-1:].numpy()


class Short(Wrapped):
    """Environments whose episodes end after a few steps."""

    def __init__(self, environments: Environments, steps: int) -> None:
        super().__init__(environments)
        self._steps = steps
        self._taken = 0

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        self._taken = 0
        return super().reset(seeds, only)

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        self._taken += 1
        step = super().step(actions, live)
        return step._replace(truncated=step.truncated | (live & (self._taken >= self._steps)))


if __name__ == "__main__":
    with exit_on_user_error():
        for row in measure():
            print(row)
