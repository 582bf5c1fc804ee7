"""A finished run as its record: settings, protocol, data, what came of it, and what it was made with."""

from collections.abc import Sequence

import torch

from backbone.interface import Answers, Model
from environments.scores import normalized
from report.store import Behavior, Evaluation, Protocol, Record
from sources.description import unscored
from training import distributed, provenance
from training.answers import references
from training.devices import device_name, peak_memory_mb
from training.evaluate import episode_seeds
from training.measure import answered_behavior, answered_protocol, answered_references, episodes_of
from training.settings import Run, Settings
from training.train import Progress
from trajectories.catalog import dataset
from trajectories.mixture import Task
from trajectories.rows import EnvironmentRow, families
from trajectories.types import Trajectories


def record(
    settings: Settings,
    identity: dict[str, object],
    data: Task,
    model: Model,
    progress: Progress,
    evaluations: tuple[Evaluation, ...],
    seconds: dict[str, float],
    commits: Sequence[str] = (),
) -> Record:
    """What a finished run of these settings leaves of one of its data sets.

    Args:
        commits: the code by which it was made, when each of its processes began (`provenance.code`); else today's.
    """
    run = settings.run
    row = dataset(data.origin.name).environment
    *earlier, last = commits or [provenance.code()]
    device = torch.device(settings.machine.device)
    measured, beside, references = standing(data, model, run, row)
    return Record(
        model=run.model,
        dataset=data.origin.name,
        env=row.name,
        source=data.origin.source,
        seed=run.seed,
        data=provenance_of(data),
        config=identity,
        protocol=measured,
        behavior=beside,
        evaluations=evaluations,
        parameters=parameters(model),
        updates=progress.update,
        tokens=int(progress.tokens),
        seconds={name: round(value, 1) for name, value in seconds.items()},
        peak_memory_mb=round(peak_memory_mb(device), 1),
        device=", then ".join(progress.devices or (device_name(device),)),
        threads=settings.machine.threads,
        processes=distributed.size(),
        report=model.metadata(),
        spec=data.spec.to_json(),
        family=row.family,
        references=references,
        numerics=model.NUMERICS,
        versions=provenance.versions() | ({"earlier commits": ", ".join(earlier)} if earlier else {}),
        commit=last.partition(provenance.DIRTY)[0],
        dirty=any(each.endswith(provenance.DIRTY) for each in (*earlier, last)),
        command=settings.command(),
        preset=run.preset,
    )


def standing(data: Task, model: Model, run: Run, row: EnvironmentRow) -> tuple[Protocol, Behavior, dict[str, float]]:
    """How a task is measured, what was recorded of it, and the references that its score stands beside."""
    if isinstance(data, Trajectories):
        return protocol(run, row), behavior(data, row), success(row)
    assert isinstance(model, Answers)
    measured, found = answered_protocol(data, run), references(model, data, run.episodes)
    return measured, answered_behavior(found[0], measured), answered_references(found)


def behavior(data: Trajectories, row: EnvironmentRow) -> Behavior:
    """The recorded episodes, with a score where what is played earns likewise."""
    returns = data.finished_returns
    return Behavior.of(returns, None if unscored(data) else normalized(row.name, returns).mean())


def protocol(run: Run, row: EnvironmentRow) -> Protocol:
    """How a run is measured in an environment."""
    episodes = episodes_of(run, row.spec())
    return Protocol(
        episodes=episodes,
        checkpoint="last",
        physics=row.physics(run.physics),  # of a mixture each task has its own
        environment=row.gym_id,
        target_returns=run.target_returns,
        seeds=episode_seeds(episodes),
        random_score=row.random_score,
        expert_score=row.expert_score,
    )


def success(row: EnvironmentRow) -> dict[str, float]:
    """How often random actions and the expert succeed, where that was measured (sources/experts/measure.py)."""
    measured = families().get(row.family, {}).get("measured", {}).get(row.name, {})
    return {name: measured[name] for name in ("random_success", "expert_success") if name in measured}


def provenance_of(data: Task) -> dict[str, object]:
    """The digest of the data, and where they come from. Of what is answered, the steps are pairs or bytes."""
    counted = {"steps": len(data)}
    if isinstance(data, Trajectories):
        counted["unfinished_steps"] = data.unfinished_steps
    return {"digest": data.origin.digest, **counted, **data.origin.details}


def parameters(model: Model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
