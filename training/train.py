"""The one training loop. What update k draws depends on the seed and on k alone, so a continued run is exact."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backbone.config import ModelConfig
from backbone.interface import Model, SequenceModel
from report.curve import LOSS, Curve
from training import distributed, interruption
from training.adamw import AdamW
from training.batches import Draw, batches, drawn, seeds_of
from training.checkpoint import load_state, save_state
from training.devices import device_name
from training.run_lock import STATE
from training.settings import Run
from training.step import CapturedStep, GradientStep
from trajectories.errors import UserError
from trajectories.mixture import Mixture, Task
from trajectories.progress import progress
from trajectories.types import Trajectories
from trajectories.windows import to_device

LOG_EVERY = 100  # updates between two rows of the curve


@dataclass
class Progress:
    """How far a training has come: what its checkpoint says."""

    update: int = 0  # updates done
    tokens: int | torch.Tensor = 0  # read so far, padding not counted
    seconds: float = 0.0  # spent training, over all its sessions
    devices: tuple[str, ...] = ()  # on which it was trained, in their order

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Progress":
        return cls(**{**row, "devices": tuple(row.get("devices", ()))})

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "tokens": int(self.tokens)}


class Clock:
    """Says when the next checkpoint is due; it runs from its making, so that what comes before training counts.

    Args:
        interval: seconds between two checkpoints, and so what a kill costs at most.
    """

    TEAM = 10  # updates between two looks of a team, which has to agree

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.restart()

    def restart(self) -> None:
        self._begun = time.monotonic()

    def is_due(self, update: int) -> bool:
        """Whether one is due after this many updates; of a team, the first process's answer."""
        if distributed.size() > 1 and update % self.TEAM:
            return False
        return distributed.broadcast_from_main(time.monotonic() - self._begun > self.interval)


class Losses:
    """The parts of the loss since the last row of the curve.

    Args:
        kept: what `kept` gave when training was interrupted: each part, (processes, updates).
        device: where the others will be.
    """

    def __init__(self, kept: Mapping[str, torch.Tensor] | None = None, device: torch.device | None = None) -> None:
        own = {
            name: (value[distributed.rank()] if len(value) == distributed.size() else value.float().mean(0)).to(device)
            for name, value in (kept or {}).items()
        }
        self._rows = [dict(zip(own, row, strict=True)) for row in zip(*own.values(), strict=True)]

    def add(self, loss: dict[str, torch.Tensor]) -> None:
        self._rows.append(loss)

    def kept(self) -> dict[str, torch.Tensor]:
        """For a checkpoint; all processes of a team take part."""
        return {name: distributed.gather(column) for name, column in self._columns().items()}

    def average(self, update: int) -> dict[str, float]:
        """Mean of each part since the last row, which begins the next one.

        Raises:
            UserError: the loss is no longer finite.
        """
        columns = self._columns().items()
        means = {LOSS + name: distributed.mean(mean_of(column.float(), name)).item() for name, column in columns}
        self._rows = []
        total = means[f"{LOSS}total"]
        if not math.isfinite(total):
            raise UserError(f"The loss is {total} at update {update}: lower --learning-rate and run again.")
        return {name: mean for name, mean in means.items() if not math.isnan(mean)}  # of a task that was not drawn

    def _columns(self) -> dict[str, torch.Tensor]:
        names = self._rows[-1] if self._rows else ()  # in the order that the model gives them
        return {name: torch.stack([row[name] for row in self._rows]) for name in names}


def mean_of(values: torch.Tensor, name: str) -> torch.Tensor:
    """Of a part of the loss; of a task's own, which is NaN in updates without the task, over the others."""
    absent = name != "total" and bool(values.isnan().any())
    return values.nanmean() if absent else values.mean()


def train(
    model: SequenceModel,
    data: Task | Mixture,
    run: Run,
    folder: Path,
    clock: Clock,
    measure: Callable[[Model], dict[str, float]],
    log: Callable[[dict[str, float]], None],
    shard: bool = False,
    micro_batch: int = 0,
) -> Progress:
    """Minimize the model's loss on `data`, from the checkpoint in `folder` if there is one.

    Args:
        clock: says when the next checkpoint is due.
        measure: plays the model while it learns; its columns join the curve every `run.evaluate_every` updates.
        log: called with every row of the curve.
        shard, micro_batch: see training/settings.py, Machine.
    """
    step = make_step(model, run.precision, shard, micro_batch)
    optimizer, data = step.optimizer, to_gpu(data, model)
    draw = batches(model, data, run)
    curve, state = Curve(folder), folder / STATE
    done, losses = resume(state, model, step)
    distributed.barrier()  # until all have read what the first is about to change
    if distributed.is_main_process():
        curve.truncate_from(done.update + 1)
    began = time.monotonic() - done.seconds
    model.train()
    with progress(run.updates, "training", "updates", done.update) as bar:
        while done.update < run.updates:
            with interruption.waiting(alone=distributed.size() == 1):
                losses.add(update(model, data, optimizer, run, done, step, draw))
                bar.update()
                done.seconds = time.monotonic() - began
                if due(done.update, run):
                    row = row_of(done, optimizer, losses)
                    bar.set_postfix(loss=f"{row[f'{LOSS}total']:.4f}")
                    if to_be_measured(done.update, run):
                        with interruption.at_once():
                            row |= measure(model)
                        began = time.monotonic() - done.seconds  # playing is not training
                    enter(row, curve, log)
                if clock.is_due(done.update) or done.update == run.updates or interruption.requested():
                    curve.sync()
                    save_state(state, model, optimizer, losses.kept(), done.to_json())
                    clock.restart()
            interruption.end(f"after update {done.update:,} of {run.updates:,}, which is kept")
    return done


def enter(row: dict[str, float], curve: Curve, log: Callable[[dict[str, float]], None]) -> None:
    """Keep a row of the curve, and log it; of a team, by the first process."""
    if distributed.is_main_process():
        curve.append(row)
        log(row)


def row_of(done: Progress, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, float]:
    """A row of the curve, but for what is measured."""
    rate = float(optimizer.param_groups[0]["lr"])
    row = {"update": done.update, "seconds": round(done.seconds, 3), "learning_rate": rate}
    return row | losses.average(done.update)


def calibrate(model: Model, data: Task | Mixture) -> Progress:
    """Calibrate a model that has nothing to train."""
    began = time.monotonic()
    model.calibrate(data)  # type: ignore[arg-type]  # a Mixture only where the model takes several
    seconds = time.monotonic() - began
    print(f"Calibrated in {seconds:.1f} s; there is nothing to train.")
    return Progress(seconds=seconds, devices=(device_name(torch.device("cpu")),))


def resume(state: Path, model: SequenceModel, step: GradientStep) -> tuple[Progress, Losses]:
    """How far training has come, with the model and the optimizer as they were then."""
    done, losses = Progress(), Losses()
    if state.exists():
        kept, progressed = load_state(state, model, step.optimizer)
        done, losses = Progress.from_json(progressed), Losses(kept, step.device)
        if distributed.is_main_process():
            print(f"Going on after update {done.update:,}.")
    if (device := device_name(step.device)) not in done.devices:
        done.devices += (device,)
    return done, losses


def due(update: int, run: Run) -> bool:
    """Whether a row of the curve is due after this many updates."""
    return not update % LOG_EVERY or update == run.updates or to_be_measured(update, run)


def to_be_measured(update: int, run: Run) -> bool:
    return run.evaluate_every > 0 and not update % run.evaluate_every


def update(
    model: SequenceModel,
    data: Task | Mixture,
    optimizer: torch.optim.Optimizer,
    run: Run,
    done: Progress,
    step: GradientStep | None = None,
    draw: Draw | None = None,
) -> dict[str, torch.Tensor]:
    """One gradient step on the batch that the seed and the update's number decide; advances `done`.

    Args:
        draw: what draws that batch, where it is not drawn now.

    Returns:
        The parts of the loss, on the model's device.
    """
    step = step or GradientStep(model, optimizer, run.precision)
    step.seed(seeds_of(run, done.update))
    batch = draw(done.update) if draw else drawn(model, data, run, done.update)
    set_learning_rate(optimizer, learning_rate(model.config, done.update, run.updates))
    loss = step(batch)
    done.update += 1
    done.tokens = done.tokens + model.count_tokens(batch)
    return loss


def make_step(model: SequenceModel, precision: str, shard: bool = False, micro_batch: int = 0) -> GradientStep:
    """The step of this process, with its optimizer: one of a team, captured on a GPU, or plain.

    Raises:
        UserError: a process of a team is to read its share in pieces, too.
    """
    if distributed.size() > 1 and micro_batch:
        raise UserError(f"--micro-batch is {micro_batch}, but torchrun shares batches out already: leave it out.")
    if distributed.size() > 1:
        learner = distributed.learner(model, shard)  # before the optimizer, which is given the sharded weights
        return distributed.TeamStep(model, adamw(model), precision, learner)
    on_gpu = next(model.parameters()).device.type == "cuda"
    if on_gpu and model.static_shapes and not micro_batch:
        return CapturedStep(model, adamw(model), precision)
    return GradientStep(model, adamw(model), precision, micro_batch)


def adamw(model: SequenceModel) -> torch.optim.AdamW:
    """The optimizer of a model's configuration; on a GPU its learning rate is a tensor there, so that none waits."""
    config, device = model.config, next(model.parameters()).device
    on_gpu = device.type == "cuda"
    return AdamW(
        model.parameter_groups(),
        lr=torch.tensor(config.learning_rate, device=device) if on_gpu else config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        fused=True,
        capturable=on_gpu,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)  # a graph has captured this tensor
        else:
            group["lr"] = rate


def to_gpu(data: Task | Mixture, model: SequenceModel) -> Task | Mixture:
    """The data's columns on the model's GPU, if it has one and they take at most half of its free memory."""
    device = next(model.parameters()).device
    if device.type != "cuda" or not model.static_shapes or not isinstance(data, Trajectories):
        return data
    columns = (data.observations, data.actions, data.rewards, data.returns_to_go)
    free, _ = torch.cuda.mem_get_info(device)
    return to_device(data, device) if sum(column.nbytes for column in columns) < free / 2 else data


def learning_rate(config: ModelConfig, update: int, updates: int) -> float:
    """A linear rise over the first `warmup_fraction` of the updates, a cosine to `final_lr_fraction` of the peak."""
    warmup_fraction = round(config.warmup_fraction * updates)
    if update < warmup_fraction:
        return config.learning_rate * (update + 1) / warmup_fraction
    position = (update - warmup_fraction) / max(1, updates - warmup_fraction)
    left = config.final_lr_fraction + (1 - config.final_lr_fraction) * (1 + math.cos(math.pi * position)) / 2
    return config.learning_rate * left
