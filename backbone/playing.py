"""The default player: it cuts its window from the episodes so far with the function that cut the training windows."""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from backbone.config import ModelConfig
from trajectories.batch import Batch
from trajectories.types import Spec
from trajectories.windows import History

CPU_BATCH = 40  # episodes: what a CPU computes for more falls out of its cache, and takes a quarter longer each


@runtime_checkable
class WindowModel(Protocol):
    """A model that chooses an action from a window."""

    spec: Spec

    @property
    def config(self) -> ModelConfig: ...
    def choose(self, batch: Batch) -> Tensor:
        """The action for the last step of each window, (B, *act), in the environment's units, or its logits."""
        ...


class WindowPlayer:
    """Acts by showing the model the last steps of every live episode.

    Args:
        draw: samples actions from the model's outputs where these are logits; it is given the live episodes, too.
    """

    def __init__(
        self,
        model: WindowModel,
        episodes: int,
        target_return: float,
        device: torch.device,
        draw: Callable[[Tensor, np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.draw = draw
        self.history = History(model.spec, episodes, target_return, longest=model.config.context)

    @torch.inference_mode()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        self.history.observe(observations, rewards, live)
        windows = (self.history.window(self.model.config.context, chunk) for chunk in self.chunks(live))
        outputs = torch.cat([self.model.choose(window.to(self.device)) for window in windows]).float()
        actions = to_actions(outputs, live, self.model.spec, self.draw)
        self.history.record(actions[live], live)
        return actions

    def chunks(self, live: np.ndarray) -> list[np.ndarray]:
        """The live episodes, (E,) bool, in groups that are computed together."""
        if self.device.type != "cpu":
            return [live]
        rows = np.flatnonzero(live)
        groups = np.array_split(rows, math.ceil(len(rows) / CPU_BATCH))
        return [np.isin(np.arange(len(live)), group) for group in groups]


def to_actions(
    outputs: Tensor, live: np.ndarray, spec: Spec, draw: Callable[[Tensor, np.ndarray], np.ndarray] | None
) -> np.ndarray:
    """(E, *act) actions: the live episodes' outputs, sampled if they are logits; zeros for the others."""
    actions = np.zeros((len(live), *spec.action_shape), spec.action_dtype)
    chosen = outputs.cpu().numpy() if draw is None else draw(outputs, live)
    actions[live] = chosen.reshape(-1, *spec.action_shape)
    return actions
