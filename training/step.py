"""What one update does with a batch: the gradients of its loss, clipped, and AdamW.

`GradientStep` is the whole of it on one processor or GPU. `CapturedStep` does the same as one CUDA graph, and
`distributed.TeamStep` with several processes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backbone.interface import SequenceModel
from trajectories.errors import UserError


class GradientStep:
    """Calculates gradients and changes the weights.

    Args:
        precision: fp32, or bf16: products under autocast, weights and moments in float32.
        micro_batch: windows that are read at once, where a batch's activations do not fit the memory: gradients add up
            to the whole batch's. 0: all of them.
    """

    def __init__(
        self, model: SequenceModel, optimizer: torch.optim.Optimizer, precision: str, micro_batch: int = 0
    ) -> None:
        self.model, self.optimizer, self.precision = model, optimizer, precision
        self.device = next(model.parameters()).device
        self.pieces = -(-model.config.batch_size // micro_batch) if micro_batch else 1

    def seed(self, seeds: np.random.SeedSequence) -> None:
        """Seed torch's generators, so that an update's dropout depends on its number alone."""
        torch.manual_seed(int(seeds.generate_state(1)[0]))

    def __call__(self, batch: Any) -> dict[str, Tensor]:
        """One gradient step.

        Returns:
            The parts of the loss, on the model's device.
        """
        batch = batch.to(self.device)
        self.optimizer.zero_grad()
        loss = self.backward(batch) if self.pieces == 1 else self.backward_by_pieces(batch)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.model.config.max_grad_norm)
        self.optimizer.step()
        return loss

    def backward(self, batch: Any, weight: float = 1.0) -> dict[str, Tensor]:
        """Add the gradients of a batch's loss, times a weight, to the parameters'."""
        with autocast(self.device, self.precision):
            loss = self.model.loss(batch)
        (loss["total"] * weight if weight != 1.0 else loss["total"]).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in loss.items()}

    def backward_by_pieces(self, batch: Any) -> dict[str, Tensor]:
        """The same, some windows at a time; each piece's loss weighs as many terms as it is the mean of."""
        rows = [rows_of(batch, slice(first, None, self.pieces)) for first in range(self.pieces)]
        pieces = [piece for piece in rows if piece is not None]
        terms = [self.model.loss_weight(piece) for piece in pieces]
        weights = [count / sum(terms) for count in terms]
        losses = [self.backward(piece, weight) for piece, weight in zip(pieces, weights, strict=True)]
        return {
            name: torch.stack([loss[name] * weight for loss, weight in zip(losses, weights, strict=True)]).sum()
            for name in losses[0]
        }


class CapturedStep(GradientStep):
    """The same as one CUDA graph: a small model's update is hundreds of short kernels, and launching them takes longer
    than running them. The first updates are made one by one, which also makes what the graph needs; then the operations
    are captured, and every further update refills the batch and launches the graph.

    Only for a model of `static_shapes`, with a `capturable` optimizer.
    Source   pytorch.org/docs/stable/notes/cuda.html, "Whole-network capture"
    """

    FIRST = 3  # updates made one by one

    def __init__(self, model: SequenceModel, optimizer: torch.optim.Optimizer, precision: str) -> None:
        super().__init__(model, optimizer, precision)
        self.made = 0
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Any) -> dict[str, Tensor]:
        if self.made < self.FIRST:
            self.made += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                loss = super().__call__(batch)
            torch.cuda.current_stream().wait_stream(self.stream)
            return loss
        if self.graph is None:
            self.batch = copy_of(batch.to(self.device))
            self.optimizer.zero_grad()  # gradients then lie in the graph's own memory
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # another draws batches (batches.py)
                self.loss = super().__call__(self.batch)
        else:
            refill(self.batch, batch)
        self.graph.replay()
        return {name: value.clone() for name, value in self.loss.items()}


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Products in bf16, if that is the run's precision."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


# ---- batches as they are: dataclasses of tensors, nested -------------------------------------------------------------


def copy_of(batch: Any) -> Any:
    """A batch with tensors of its own."""
    return replace(batch, **{name: value.clone() for name, value in _tensors(batch).items()})


def refill(batch: Any, new: Any) -> None:
    """Write the numbers of another batch of the same shapes into the tensors of `batch`."""
    values = _tensors(new)
    for name, value in _tensors(batch).items():
        value.copy_(values[name], non_blocking=True)


def _tensors(batch: Any) -> dict[str, Tensor]:
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value for name, value in columns.items() if isinstance(value, Tensor)}


def rows_of(batch: Any, rows: slice) -> Any:
    """Some rows of a (nested) batch; None if there are none."""
    if hasattr(batch, "parts"):  # of a mixture: what is left of each task
        parts = tuple(part for part in (rows_of(each, rows) for each in batch.parts) if part is not None)
        return replace(batch, parts=parts) if parts else None
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}
    if columns.get("patches") is not None:
        raise UserError("A batch of cut images cannot be shared out: run without torchrun and --micro-batch.")
    count = max(len(column) for column in columns.values() if isinstance(column, Tensor))
    if not len(range(count)[rows]):
        return None
    taken = {}
    for name, column in columns.items():
        if isinstance(column, Tensor) and len(column) == count:
            taken[name] = column[rows]
        elif is_dataclass(column):
            taken[name] = rows_of(column, rows)
    return replace(batch, **taken)
