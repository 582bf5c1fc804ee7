"""The Python API: what a notebook needs of training. `load` is in sources, `load_results` in report.

from trajectory_models import evaluate, load, load_model, load_results, train

data = load("hopper-medium")
model = train("dt", data, updates=6_000)
scores = evaluate(model, "hopper-medium", episodes=10)
"""

import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from backbone.config import BaseConfig
from backbone.interface import Answers, Model, SequenceModel
from backbone.options import fits
from environments.make import make
from environments.scores import normalized
from sources.loading import load
from sources.request import Physics
from training import answers, checkpoint
from training import evaluate as evaluation
from training.devices import find_device, has_bf16
from training.registry import Entry, find_named
from training.settings import Machine, Run, Settings, check, preset_settings
from training.train import Clock
from training.train import train as fit
from trajectories.atomic import disk_errors
from trajectories.catalog import answered_kind, dataset
from trajectories.errors import UserError, did_you_mean
from trajectories.mixture import Mixture, Task
from trajectories.rows import DatasetRow
from trajectories.types import Spec

__all__ = ["Scores", "evaluate", "load_model", "train"]

OF_RUN = ("updates", "seed", "precision")  # options of a run that training alone reads
ELSEWHERE = (  # the end of the sentence about another option of run.py
    "what is about data is done to them, as data.best(0.1), what is about playing is given to evaluate, and folder "
    "says where the run is kept."
)


@dataclass(frozen=True)
class Scores:
    """What E episodes earned, by the episode's number."""

    returns: np.ndarray  # (E,) undiscounted, in the environment's units
    lengths: np.ndarray  # (E,) steps
    normalized: np.ndarray  # (E,) 0: random policy, 100: expert
    success: np.ndarray | None = None  # (E,) bool, where the environment knows it
    weights: np.ndarray | None = None  # (E,) questions, captions or bytes, where a task is answered

    @property
    def mean(self) -> float:
        """Mean normalized score; where a task is answered, over all questions, captions or bytes."""
        return float(np.average(self.normalized, weights=self.weights))

    def __repr__(self) -> str:
        success = "" if self.success is None else f", success {self.success.mean():.0%}"
        return f"Scores({len(self.returns)} episodes: return {self.returns.mean():.1f}, score {self.mean:.1f}{success})"


def train(
    model: str,
    data: Task | Mixture,
    *,
    folder: Path | str | None = None,
    device: str = "auto",
    **options: Any,
) -> Model:
    """Train a model on trajectories, as `experiments/run.py` does, without playing it.

    Args:
        model: a model's name, as after --model, or package.module:Class of your own.
        data: what `load` returns, trajectories, pairs or text of your own, or a `Mixture` of several for one Gato.
        folder: where the checkpoint and the learning curve are kept, and continued from; None: nowhere.
        device: as after --device.
        options: updates=6_000, seed=1, precision="fp32", preset="paper", and any setting of the model in
            `run.py --model MODEL --help`, with underscores: context=10. What is about data is done to `data`:
            `data.best(0.1)`, `data.delayed()`.

    Returns:
        The model after the last update, ready to act.

    Raises:
        UserError: an unknown model, preset or option, a number out of its range, or several tasks for a model of one.
    """
    if not isinstance(data, Task | Mixture):
        raise UserError(f"train takes data and not {data!r:.60}: load them first, as in train({model!r}, load(NAME)).")
    entry = find_named(model, data.spec)
    run, config, seconds = settings_of(entry, data, options)
    where = find_device(device)
    if run.precision == "auto":
        run = replace(run, precision="bf16" if has_bf16(where) else "fp32")
    torch.manual_seed(run.seed)
    trained = entry.model(config, data.spec)
    trained.calibrate(data)  # type: ignore[arg-type]  # pairs or text only where the model reads them
    if not isinstance(trained, SequenceModel):
        return trained.eval()
    trained.to(where)
    kept = nullcontext(folder) if folder is not None else tempfile.TemporaryDirectory(prefix="training.")
    with kept as place:
        with disk_errors(Path(place).absolute(), option="folder"):
            pass  # it is made
        between = seconds if folder is not None else float("inf")
        fit(trained, data, run, Path(place), Clock(between), lambda _: {}, lambda _: None)
    return trained.eval()


def settings_of(entry: Entry, data: Task | Mixture, options: dict[str, Any]) -> tuple[Run, BaseConfig, float]:
    """A run's settings, a model's, and seconds between two checkpoints: a preset's, but for the options.

    Raises:
        UserError: an unknown preset or option, or what it cannot be.
    """
    options = {name: value.item() if isinstance(value, np.generic) else value for name, value in options.items()}
    usual = preset_settings(entry, task_names(entry, data), options.pop("preset", Run.preset))
    of_run = {name: options.pop(name) for name in OF_RUN if name in options}
    known = [*OF_RUN, *(field.name for field in fields(usual.config))]
    if unknown := next((name for name in options if name not in known), None):
        elsewhere = {each.name for kind in (Run, Machine) for each in fields(kind)} & {unknown}
        instead = ELSEWHERE if elsewhere else did_you_mean(unknown, known)
        raise UserError(f"{entry.name} has no option {unknown!r} in Python: {instead}")
    for name, value in {**of_run, **options}.items():
        default = getattr(usual.run if name in of_run else usual.config, name)
        if not fits(value, default):
            raise UserError(f"{name} is {value!r}, and has to be like {default!r}.")
    run, config = replace(usual.run, **of_run), replace(usual.config, **options)
    check(Settings(run, config, usual.machine))
    return run, config, usual.machine.checkpoint_seconds


def task_names(entry: Entry, data: Task | Mixture) -> tuple[str, ...]:
    """The names of the data sets that a model is to learn.

    Raises:
        UserError: there are several, and the model learns one.
    """
    names = tuple(part.origin.name for part in (data.tasks if isinstance(data, Mixture) else (data,)))
    if len(names) > 1 and not entry.model.multi_task:
        raise UserError(f"{entry.name} learns one task, and the mixture has {', '.join(names)}: train gato instead.")
    return names


def evaluate(
    model: Model,
    env: str,
    *,
    episodes: int = 100,
    target_return: float | None = None,
    physics: str = "d4rl",
    precision: str = "fp32",
) -> Scores:
    """Play whole episodes in the environment of a data set, by the benchmark's protocol; or answer what is held out.

    Args:
        model: a trained model; of several tasks, `env` says which.
        env: a data set's name, "hopper-medium".
        episodes: played at once, started from the same seeds for every model; or pictures or documents at most.
        target_return: what to ask for; None: the environment's first target return, where the model takes one.
        physics: the bodies of MuJoCo's robots: d4rl, as D4RL recorded, or gymnasium, as it ships them.
        precision: fp32, or bf16 where the model may act in it.

    Raises:
        UserError: an unknown data set, an environment that cannot be made here or is not the model's, or an argument
            that cannot be.
    """
    if not isinstance(model, Model):
        raise UserError(f"evaluate takes a model and not {model!r:.60}: train one, or load_model(FOLDER).")
    if episodes < 1:
        raise UserError(f"episodes is {episodes}, and there is nothing to play: give 1 or more.")
    if physics not in get_args(Physics):
        raise UserError(f"physics is {physics!r}: give {' or '.join(get_args(Physics))}.")
    if target_return is not None and not model.return_conditioned:
        raise UserError(f"target_return is {target_return}, and this model takes none: leave it out.")
    row = dataset(env)
    if answered_kind(env):
        return answered(model, row, episodes)
    targets = row.environment.target_returns
    if target_return is None and model.return_conditioned:
        if not targets:
            raise UserError(f"Nothing is known of what to ask for in {row.env}: give target_return.")
        target_return = targets[0]
    environments = make(row.env, episodes, physics)
    try:
        check_played(model, environments.spec)
        task = env if isinstance(model.spec, tuple) else None
        played = evaluation.evaluate(model, environments, target_return, task=task, precision=precision)
    finally:
        environments.close()
    return Scores(played.returns, played.lengths, np.asarray(normalized(row.env, played.returns)), played.success)


def check_played(model: Model, shown: Spec) -> None:
    """Raises UserError where a model of one task is to be played in an environment of other shapes."""
    learned = model.spec
    if isinstance(learned, Spec):
        for what in ("observation_shape", "action_shape", "actions"):
            own, other = getattr(learned, what), getattr(shown, what)
            if own != other:
                of_both = f"{learned.name}, whose {what} is {own}, and {shown.name} has {other}"
                raise UserError(f"The model was trained on {of_both}: play it where it belongs.")


def answered(model: Model, row: DatasetRow, episodes: int) -> Scores:
    """What a model answers of what is held out."""
    if not isinstance(model, Answers):
        raise UserError(f"{row.name} is answered, and this model only acts: train gato on it.")
    played, span = answers.measure(model, load(row.name), episodes), row.environment
    score = 100 * (played.returns - span.random_score) / (span.expert_score - span.random_score)
    return Scores(played.returns, played.lengths, score, weights=played.lengths)


def load_model(folder: Path | str, device: str = "cpu", model: str | None = None) -> Model:
    """The trained model of a run's folder, ready to act; by rounded weights where git has no others of it.

    Args:
        model: package.module:Class, where the run's model is one of your own: no file decides what is imported.

    Raises:
        UserError: there is none, or it is damaged.
    """
    return checkpoint.load_model(Path(folder), device, model)
