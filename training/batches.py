"""The batch of an update, which the seed and the update's number decide: drawn for it, or ahead of it.

On a GPU whose data lie in the computer's memory (Gato's, and what is larger than the card), a thread draws the next
batch, in memory that the card reads by itself, while the card is busy with the one before.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from backbone.interface import SequenceModel
from training.settings import Run
from trajectories.mixture import Mixture, Task
from trajectories.windows import DeviceTrajectories

Draw = Callable[[int], Any]  # the batch of an update, by its number


def seeds_of(run: Run, number: int) -> np.random.SeedSequence:
    """What an update's batch and its dropout are drawn by."""
    return np.random.SeedSequence([run.seed, number])


def drawn(model: SequenceModel, data: Task | Mixture, run: Run, number: int) -> Any:
    """The batch of an update."""
    return model.sample(data, np.random.default_rng(seeds_of(run, number)))  # type: ignore[arg-type]  # multi_task


def batches(model: SequenceModel, data: Task | Mixture, run: Run) -> Draw:
    """How the batches of a run are drawn on the model's device."""
    now = partial(drawn, model, data, run)
    on_gpu = next(model.parameters()).device.type == "cuda"
    return Ahead(lambda number: pinned(now(number))) if on_gpu and not isinstance(data, DeviceTrajectories) else now


class Ahead:
    """Draws the batch of the next update while its caller does something with the last one."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.thread = ThreadPoolExecutor(1, "batches")
        self.waiting: tuple[int, Future[Any]] | None = None

    def __call__(self, number: int) -> Any:
        """The batch of update `number`; the one after it is begun."""
        if self.waiting is None or self.waiting[0] != number:
            self.waiting = number, self.thread.submit(self.draw, number)
        found = self.waiting[1].result()
        self.waiting = number + 1, self.thread.submit(self.draw, number + 1)
        return found


def pinned(batch: Any) -> Any:
    """A (nested) batch in memory that a GPU copies from by itself."""
    if isinstance(batch, torch.Tensor):
        return batch.pin_memory()
    if isinstance(batch, tuple):
        return tuple(map(pinned, batch))
    if not is_dataclass(batch) or isinstance(batch, type):
        return batch
    return replace(batch, **{field.name: pinned(getattr(batch, field.name)) for field in fields(batch)})
