"""How a trained model is measured: it plays a task's episodes, or answers what is held out."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from backbone.image_shape import shows_images
from backbone.interface import Answers, Model
from environments.interface import Environments
from environments.make import make
from environments.scores import normalized
from report.store import Behavior, Evaluation, Protocol
from training import answers
from training.evaluate import evaluate
from training.evaluation_log import EvaluationLog
from training.settings import Run, Settings
from trajectories.catalog import dataset
from trajectories.mixture import Task
from trajectories.pairs import Pairs
from trajectories.text import Text
from trajectories.types import Spec, Trajectories

GAMES = 10  # episodes at most, where a run has several tasks: hundreds of a game take hours


def episodes_of(run: Run, spec: Spec) -> int:
    """How many episodes of a task are played: as many as the run says, of games beside other tasks at most ten."""
    is_game = shows_images(spec) and not spec.kind
    return min(run.episodes, GAMES) if len(run.env) > 1 and is_game else run.episodes


def measure(
    model: Model,
    settings: Settings,
    data: Task,
    episodes: int,
    targets: tuple[float, ...],
    log: EvaluationLog | None = None,
) -> tuple[Evaluation, ...]:
    """Play a task's episodes once for each target return, once if the model takes none; or answer what is held out.

    Args:
        episodes: how many; of what is answered, pictures or documents at most.
        log: keeps what has been measured.
    """
    if isinstance(data, Trajectories):
        return play_all(model, settings, data.origin.name, episodes, targets, log)
    assert isinstance(model, Answers)
    measuring = partial(answers.measure, model, data, episodes)
    played = log.keep(f"{data.origin.name} None", measuring) if log else measuring()
    score = float(answered_protocol(data, settings.run).score(answers.total(played)))
    return (Evaluation.of(None, played.returns, played.lengths, score),)


def play_all(
    model: Model,
    settings: Settings,
    task: str,
    episodes: int,
    targets: tuple[float, ...],
    log: EvaluationLog | None = None,
) -> tuple[Evaluation, ...]:
    """Play a task's episodes for each target return."""
    run = settings.run
    environment = dataset(task).env
    which = task if len(run.env) > 1 else None
    environments: Environments = make(environment, episodes, run.physics)
    evaluations = []
    for target in targets or (None,):
        doing = f"playing {which}" if which else "playing" if target is None else f"playing, target return {target:g}"
        arguments = (model, environments, target, doing, which, run.delayed_reward, run.precision, log)
        played = log.keep(f"{task} {target}", partial(evaluate, *arguments)) if log else evaluate(*arguments)
        score = float(normalized(environment, played.returns).mean())
        evaluations.append(Evaluation.of(target, played.returns, played.lengths, score, played.success))
    environments.close()
    return tuple(evaluations)


def answered_protocol(data: Pairs | Text, run: Run) -> Protocol:
    """How a run is measured by what is held out of a data set."""
    row = dataset(data.origin.name).environment
    count = answers.count(data, run.episodes)
    return Protocol(
        episodes=count,
        checkpoint="last",
        physics="none",
        environment=answers.name_of(data),
        target_returns=(),
        seeds=tuple(range(count)),
        random_score=row.random_score,
        expert_score=row.expert_score,
    )


def answered_behavior(first: answers.Reference, protocol: Protocol) -> Behavior:
    """In place of recorded episodes, what the first reference makes of the same pictures or documents."""
    each = Behavior.of(first.values, float(protocol.score(first.total)))
    return replace(each, mean=first.total, best=first.total)


def answered_references(found: tuple[answers.Reference, ...]) -> dict[str, float]:
    """What stands beside a score, by name."""
    return {each.name: round(each.total, 6) for each in found}


def mean_of(played: Evaluation, data: Task) -> float:
    """What a curve shows of an evaluation: the mean return, or the mean over all that was answered."""
    weights: Any = None if isinstance(data, Trajectories) else played.lengths
    return float(np.average(played.returns, weights=weights))
