"""One run on several processes: torchrun --nproc-per-node N experiments/run.py ...

All of them draw the same batch; each learns from its share of the rows, and the gradients are averaged (DDP). With
--shard the weights and the optimizer's moments are sharded, too (FSDP2): for a Gato that does not fit one GPU. The
first process speaks, plays and writes for all. Without torchrun there is a team of one, and nothing here does anything.

Source    Zhao et al. 2023, "PyTorch FSDP", arXiv:2304.11277; torch.distributed.fsdp.fully_shard
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from backbone.interface import Model, SequenceModel
from training.step import GradientStep, autocast, rows_of
from trajectories.errors import UserError

PATIENCE = timedelta(days=2)  # the others wait while the first one plays


@contextmanager
def process_group() -> Iterator[None]:
    """Be part of the team that torchrun has started, if it has."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            redirect_stdout(sys.stdout if is_main_process() else nowhere),
        ):
            yield
    finally:
        dist.destroy_process_group()


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def is_main_process() -> bool:
    """Whether this is the process that speaks for all."""
    return rank() == 0


def device() -> torch.device:
    """This process's own GPU."""
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if "LOCAL_RANK" in os.environ else torch.device("cuda")


def barrier() -> None:
    """Until all have come this far."""
    if size() > 1:
        dist.barrier()


def broadcast_from_main(answer: bool) -> bool:
    """The first process's answer, in all of them: clocks and disks differ."""
    if size() == 1:
        return answer
    answers = [answer]
    dist.broadcast_object_list(answers, src=0)
    return answers[0]


# ---- a batch and its loss --------------------------------------------------------------------------------------------


class TeamStep(GradientStep):
    """One process's part of an update: its share of the same batch, whose loss weighs as many terms as it has, so that
    the mean of all processes' gradients is the whole batch's. Their dropout differs.

    Args:
        learner: what `learner` made of the model, before there was an optimizer.
    """

    def __init__(
        self, model: SequenceModel, optimizer: torch.optim.Optimizer, precision: str, learner: nn.Module
    ) -> None:
        super().__init__(model, optimizer, precision)
        self.learner = learner

    def seed(self, seeds: np.random.SeedSequence) -> None:
        torch.manual_seed(int(seeds.generate_state(size())[rank()]))

    def __call__(self, batch: Any) -> dict[str, Tensor]:
        return super().__call__(shard_batch(batch))

    def backward(self, batch: Any, weight: float = 1.0) -> dict[str, Tensor]:
        with autocast(self.device, self.precision):
            loss = self.learner(batch)
        own = torch.tensor(float(self.model.loss_weight(batch)), device=self.device)
        everyone = own.clone()
        dist.all_reduce(everyone)
        loss = {name: value * (own * size() / everyone) for name, value in loss.items()}
        loss["total"].backward()
        return {name: value.detach() for name, value in loss.items()}


def shard_batch(batch: Any) -> Any:
    """This process's rows of a batch: every size-th, beginning with its rank.

    Raises:
        UserError: there are fewer rows than processes, or rows that cannot be distinguished.
    """
    part = rows_of(batch, slice(rank(), None, size()))
    if part is None:
        raise UserError(f"A batch has fewer windows than the {size()} processes: raise --batch-size.")
    return part


def check_shares(config: Any, tasks: int) -> None:
    """Refuse sharded weights of several tasks where a process may get no sequence of one: the others would wait for it
    to gather that task's weights, for ever.

    Args:
        config: of a model that learns several tasks.

    Raises:
        UserError: it may happen.
    """
    draws = getattr(config, "tasks_per_update", 0)
    if size() > 1 and tasks > 1 and (not draws or config.batch_size // draws < size()):
        raise UserError(
            f"--shard needs sequences of every task of an update in all {size()} processes, and --tasks-per-update "
            f"is {draws} in a batch of {config.batch_size}: choose one from 1 to {config.batch_size // size()}."
        )


def mean(value: Tensor) -> Tensor:
    """Of the team's values."""
    if size() > 1:
        dist.all_reduce(value)
        value /= size()
    return value


def gather(value: Tensor) -> Tensor:
    """The team's values, the first process's first, (size, ...)."""
    if size() == 1:
        return value[None]
    values = [torch.empty_like(value) for _ in range(size())]
    dist.all_gather(values, value.contiguous())
    return torch.stack(values)


# ---- a model and its tensors -----------------------------------------------------------------------------------------


class Learner(nn.Module):
    """A model whose forward pass is its loss, which is what DDP and FSDP2 look after."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self.model.loss(batch)


def learner(model: SequenceModel, shard: bool = False) -> nn.Module:
    """What gives the loss of a share of a batch, and sees to it that gradients become the team's."""
    alone = Learner(model)
    if not shard:
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(alone, find_unused_parameters=model.multi_task)
    from torch.distributed.fsdp import fully_shard  # most of a second to import, and needed under torchrun only

    for module in model.modules():
        if isinstance(module, nn.ModuleList):
            for block in module:
                fully_shard(block)
    fully_shard(alone)
    return alone


def gather_model(model: Model) -> Model:
    """A model that can play: a copy with all of its weights, where they are shared out. All processes take part."""
    if not any(map(is_sharded, model.state_dict().values())):
        return model
    weights = {name: full_tensor(value) for name, value in model.state_dict().items()}
    copy = type(model)(model.config, model.spec)
    copy.load_state_dict(weights)
    return copy.to(next(iter(weights.values())).device)


def full_tensor(value: Tensor) -> Tensor:
    """A tensor with what the other processes have of it."""
    return value.full_tensor() if is_sharded(value) else value  # type: ignore[attr-defined]  # a DTensor


def shard_tensor(value: Tensor, like: Tensor | None) -> Tensor:
    """The opposite: this process's part of a tensor, as it has it of `like`."""
    if like is None or not is_sharded(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)  # type: ignore[attr-defined]


def is_sharded(value: Tensor) -> bool:
    """Whether a tensor lies in parts with several processes."""
    if size() == 1:
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(value, DTensor)
