"""Plays episodes by planning: the last transitions as tokens, a plan, its first action.

Shapes   E episodes, D tokens of a transition
"""

import time
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from backbone.flatten import Flatten
from trajectories.types import Spec
from trajectory_transformer.config import Config
from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.network import Network
from trajectory_transformer.planner import CapturedPlanner, plan
from trajectory_transformer.search import Plan, Search


@runtime_checkable
class PlanningModel(Protocol):
    """What a player needs of a Trajectory Transformer."""

    spec: Spec
    network: Network
    discretizer: Discretizer
    flatten: Flatten

    @property
    def config(self) -> Config: ...
    def search(self) -> Search: ...
    def eval(self) -> Any: ...


class BeamPlayer:
    """Each episode draws from its own generator: its plans do not depend on what is planned beside it."""

    def __init__(self, model: PlanningModel, episodes: int, seed: int) -> None:
        self.model = model
        self.search = model.search()
        self.prefix = min(model.config.prefix or self.search.past, self.search.past)
        self.device = model.discretizer.edges.device
        self.generators = [np.random.default_rng(seed + episode) for episode in range(episodes)]
        self.past: list[Int[Tensor, "E D"]] = []  # transitions played, oldest first
        self.last: tuple[np.ndarray, np.ndarray] | None = None  # observation and action of the step before
        self.plan = torch.zeros(episodes, 0, self.search.tokens, dtype=torch.int64, device=self.device)
        self.played = 0  # transitions of the plan
        self.captured: CapturedPlanner | None = None  # on a GPU
        self.forward_passes = self.tokens_read = 0  # through the network, and tokens read, so far

    @torch.inference_mode()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        if self.last is not None:
            self.remember(*self.last, rewards)
        observations = self.numbers(observations)
        current = self.encode(observations, 0)
        if self.played >= min(self.model.config.plan_every, self.plan.shape[1]):
            self.make_plan(current, np.flatnonzero(live))
        first = self.search.observation_size
        tokens = self.plan[:, self.played, first : first + self.search.action_size]
        actions = self.model.discretizer.decode(tokens, first).cpu().numpy()
        self.played += 1
        actions = self.fit(actions)
        actions[~live] = 0
        self.last = observations, actions
        return actions

    def numbers(self, observations: np.ndarray) -> np.ndarray:
        """Those of (E, *obs) observations that are tokens."""
        return self.model.flatten.rows(observations)[:, : self.search.observation_size]

    def fit(self, actions: np.ndarray) -> np.ndarray:
        """As the environment wants them."""
        spec = self.model.spec
        if spec.actions is not None:
            actions = actions.round().clip(0, spec.actions - 1)
        return actions.reshape(-1, *spec.action_shape).astype(spec.action_dtype)

    def encode(self, numbers: np.ndarray, first: int) -> Int[Tensor, "E d"]:
        return self.model.discretizer.encode(torch.from_numpy(np.asarray(numbers, np.float32)).to(self.device), first)

    def remember(self, observations: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> None:
        """The transition just completed. No token attends to its value: any token will do."""
        rows = len(rewards)
        numbers = np.concatenate(
            [observations, actions.reshape(rows, -1), rewards[:, None], np.zeros((rows, 1))], axis=1
        )
        self.past = [*self.past, self.encode(numbers, 0)][-self.prefix :]

    def make_plan(self, current: Int[Tensor, "E observation"], live: np.ndarray) -> None:
        """Plan for the live episodes, as many at once as the memory allows."""
        context = torch.cat([*(self.past if self.model.config.prefix_context else []), current], dim=1)  # (E, L)
        together = self.together()
        deadline = time.perf_counter() + self.model.config.plan_seconds
        groups = [live[i : i + together] for i in range(0, len(live), together)]
        plans = []
        for index, group in enumerate(groups):
            seconds = 0.0
            if self.model.config.plan_seconds > 0:  # what is left, in equal parts
                seconds = max((deadline - time.perf_counter()) / (len(groups) - index), 1e-9)
            plans.append(self.search_for(context[torch.from_numpy(group).to(self.device)], group, seconds))
        length = min(made.tokens.shape[1] for made in plans)
        self.plan = self.plan.new_zeros(len(current), length, self.search.tokens)
        for group, made in zip(groups, plans, strict=True):
            self.plan[torch.from_numpy(group).to(self.device)] = made.tokens[:, :length]
            self.forward_passes += made.forward_passes
            self.tokens_read += made.tokens_read
        self.played = 0

    def search_for(self, context: Int[Tensor, "E L"], group: np.ndarray, seconds: float) -> Plan:
        shape = (self.search.horizon, self.search.tokens, self.search.candidates)
        draws = torch.from_numpy(np.stack([self.generators[episode].random(shape) for episode in group]))
        draws, model = draws.to(self.device), self.model
        model.eval()
        if self.device.type != "cuda" or seconds > 0:
            return plan(model.network, model.discretizer, self.search, context, draws, seconds)
        if self.captured is None:
            episodes = min(self.together(), len(self.generators))
            self.captured = CapturedPlanner(model.network, model.discretizer, self.search, episodes)
        return self.captured(context, draws)

    def together(self) -> int:
        """How many episodes' keys and values fit into the memory allowed."""
        search, config = self.search, self.model.config
        tokens = search.tokens * search.past + search.observation_size + search.expand * (search.action_size + 1)
        numbers = 2 * config.layers * config.width * tokens * search.beam_width
        return max(1, int(config.plan_memory * 2**30 / (4 * numbers)))

    def planned(self) -> Float[np.ndarray, "E horizon D"]:
        """The last plan in the environment's units: observations, actions, rewards, values; what is played of it first.

        `planned()[e, :, :observation_size]` are the observations that episode e was meant to see; NaN after its end.
        """
        discretizer = self.model.discretizer
        numbers = torch.where(self.plan < discretizer.bins, discretizer.decode(self.plan), torch.nan)
        return numbers.cpu().numpy()
