"""The one training loop. What update k draws depends on the seed and on k alone, so a continued run is exact."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from backbone.config import ModelConfig
from backbone.interface import SequenceModel
from report.curve import LOSS, Curve
from training import distributed
from training.checkpoint import load_state, save_state
from training.run_lock import STATE
from training.settings import Run
from trajectories.errors import UserError
from trajectories.mixture import Mixture
from trajectories.progress import progress
from trajectories.types import Trajectories

LOG_EVERY = 100  # updates between two rows of the curve


@dataclass
class Progress:
    """How far a training has come: what its checkpoint says."""

    update: int = 0  # updates done
    tokens: int = 0  # read so far, padding not counted
    seconds: float = 0.0  # spent training, over all its sessions


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
        means = {
            LOSS + name: distributed.mean(column.float().mean()).item() for name, column in self._columns().items()
        }
        self._rows = []
        total = means[f"{LOSS}total"]
        if not math.isfinite(total):
            raise UserError(f"The loss is {total} at update {update}: lower --learning-rate and run again.")
        return means

    def _columns(self) -> dict[str, torch.Tensor]:
        names = self._rows[-1] if self._rows else ()  # in the order that the model gives them
        return {name: torch.stack([row[name] for row in self._rows]) for name in names}


def train(
    model: SequenceModel,
    data: Trajectories | Mixture,
    run: Run,
    folder: Path,
    clock: Clock,
    measure: Callable[[SequenceModel], dict[str, float]],
    log: Callable[[dict[str, float]], None],
    shard: bool = False,
) -> Progress:
    """Minimise the model's loss on `data`, from the checkpoint in `folder` if there is one.

    Args:
        clock: says when the next checkpoint is due.
        measure: plays the model while it learns; its columns join the curve every `run.evaluate_every` updates.
        log: called with every row of the curve.
        shard: whether a team shares out weights and moments, too.
    """
    learner = distributed.learner(model, shard)  # before the optimizer, which is given the sharded weights
    optimizer = adamw(model)
    curve, state, done, losses = Curve(folder), folder / STATE, Progress(), Losses()
    if state.exists():
        kept, progressed = load_state(state, model, optimizer)
        done, losses = Progress(**progressed), Losses(kept, next(model.parameters()).device)
    distributed.barrier()  # until all have read what the first is about to change
    if distributed.is_main_process():
        curve.truncate_from(done.update + 1)
    began = time.monotonic() - done.seconds
    model.train()
    with progress(run.updates, "training", "updates", done.update) as bar:
        while done.update < run.updates:
            losses.add(update(model, data, optimizer, run, done, learner))
            bar.update()
            done.seconds = time.monotonic() - began
            if due(done.update, run):
                row = {"update": done.update, "seconds": round(done.seconds, 3)}
                row |= {"learning_rate": optimizer.param_groups[0]["lr"]} | losses.average(done.update)
                bar.set_postfix(loss=f"{row[f'{LOSS}total']:.4f}")
                if to_be_measured(done.update, run):
                    row |= measure(model)
                    began = time.monotonic() - done.seconds  # playing is not training
                if distributed.is_main_process():
                    curve.append(row)
                    log(row)
            if clock.is_due(done.update) or done.update == run.updates:
                curve.sync()
                save_state(state, model, optimizer, losses.kept(), vars(done))
                clock.restart()
    return done


def due(update: int, run: Run) -> bool:
    """Whether a row of the curve is due after this many updates."""
    return not update % LOG_EVERY or update == run.updates or to_be_measured(update, run)


def to_be_measured(update: int, run: Run) -> bool:
    return run.evaluate_every > 0 and not update % run.evaluate_every


def update(
    model: SequenceModel,
    data: Trajectories | Mixture,
    optimizer: torch.optim.Optimizer,
    run: Run,
    done: Progress,
    learner: nn.Module | None = None,
) -> dict[str, torch.Tensor]:
    """One gradient step; advances `done` and returns the parts of the loss.

    Of a team each process takes its share of the same batch, and its loss weighs as much as it has terms, so that the
    mean of all processes' gradients is the whole batch's. Their dropout differs.
    """
    device = next(model.parameters()).device
    seeds = np.random.SeedSequence([run.seed, done.update])
    torch.manual_seed(int(seeds.generate_state(distributed.size())[distributed.rank()]))
    batch = model.sample(data, np.random.default_rng(seeds))  # type: ignore[arg-type]  # multi_task
    tokens = model.count_tokens(batch)
    batch = distributed.shard_batch(batch).to(device)
    rate = learning_rate(model.config, done.update, run.updates)
    for group in optimizer.param_groups:
        group["lr"] = rate
    with autocast(device, run.precision):
        loss = learner(batch) if learner else model.loss(batch)
    loss = distributed.scale_loss(loss, model, batch)
    optimizer.zero_grad()
    loss["total"].backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), model.config.max_grad_norm)
    optimizer.step()
    done.update += 1
    done.tokens += tokens
    return {name: value.detach() for name, value in loss.items()}


def adamw(model: SequenceModel) -> torch.optim.AdamW:
    config = model.config
    return torch.optim.AdamW(
        model.parameter_groups(),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(config: ModelConfig, update: int, updates: int) -> float:
    """A linear rise over the first `warmup_fraction` of the updates, a cosine to `final_lr_fraction` of the peak."""
    warmup_fraction = round(config.warmup_fraction * updates)
    if update < warmup_fraction:
        return config.learning_rate * (update + 1) / warmup_fraction
    position = (update - warmup_fraction) / max(1, updates - warmup_fraction)
    left = config.final_lr_fraction + (1 - config.final_lr_fraction) * (1 + math.cos(math.pi * position)) / 2
    return config.learning_rate * left


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield
