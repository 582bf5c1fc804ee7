"""One run, from a data set's name to a record. Read this first.

The same settings find the finished run and print it; an interrupted run goes on from its last checkpoint. A run whose
record came with the repository, and so without its weights, is trained again in results/again.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from backbone.config import ModelConfig
from backbone.interface import Model, SequenceModel
from environments.make import check_playable
from report.curve import return_column
from report.store import RECORD, read_record, run_hash, run_name, several, write_record
from sources.loading import Request, describe, load
from training import distributed, provenance
from training.checkpoint import begin_with, keep_calibration, load_state_weights, save_model
from training.cli import exit_on_user_error
from training.devices import device_name, find_device, has_bf16
from training.evaluation_log import EvaluationLog
from training.measure import episodes_of, mean_of, measure
from training.record import parameters, record
from training.registry import find_named
from training.run_lock import STATE, WEIGHTS, clear_finished, commits_of, hold_run
from training.selection import select
from training.settings import Machine, Settings
from training.staleness import changed_numbers
from training.summary import compared, summarize
from training.tracking import tracked, tracker
from training.train import Clock, Progress, calibrate, train
from trajectories.catalog import answered_kind, dataset
from trajectories.errors import UserError
from trajectories.mixture import Mixture, Task
from trajectories.names import file_name
from trajectories.types import Trajectories

RESULTS = provenance.PROJECT / "results"


def run(settings: Settings) -> None:
    """Train, play and record what these settings say, or show what came of it before."""
    began, code = time.monotonic(), provenance.code()
    device = prepare(settings.machine)
    settings = playable(settings) if settings.run.skip_missing else settings
    tasks = load_tasks(settings)
    settings = resolve(settings, tasks, device)
    identity = settings.resolved() | {"data": digests(tasks)}
    run, machine = settings.run, settings.machine
    name = run_name(run.model, several(run.env), run.source, run.seed, run_hash(run.model, identity))
    folder = (machine.results_dir or RESULTS / "runs").absolute() / name
    published: list[Path] = []
    if machine.results_dir is None and finished(recorded(folder, run.env)) and not has_weights(folder):
        print(f"results/runs has the record of {name}, but not its checkpoint: training again in results/again.")
        published, folder = recorded(folder, run.env), RESULTS / "again" / name
    places = recorded(folder, run.env)
    if finished(places):
        print("This run is finished already; here is its record.")
        show(places)
        if not has_weights(folder):
            print(f"Its weights are not there: remove {folder}, and the same command trains it again.")
        if distributed.is_main_process():
            clear_finished(folder)
        for why in changed_numbers(read_record(places[0])):
            print(f"Beware: {why}. To have today's, remove {folder} first.")
        return
    seconds = {"data": time.monotonic() - began}
    data = tasks[0] if len(tasks) == 1 else Mixture(tasks, run.task_weights)
    held = hold_run(folder, identity, code) if distributed.is_main_process() else nullcontext()
    with held, exit_on_user_error(f"Run the same command again to continue {name}."):
        if not finished(places):  # another process may have finished it meanwhile
            if distributed.is_main_process():
                for task in run.env:
                    check_playable(dataset(task).env, run.physics)
            clock = Clock(machine.checkpoint_seconds)
            model = build(settings, data, device, folder / STATE)
            progress = learn(model, data, settings, folder, clock)
            seconds["train"] = progress.seconds
            model = distributed.gather_model(model)
            if distributed.is_main_process():
                finish(model, tasks, settings, identity, progress, seconds, folder, places)
            distributed.barrier()
    show(places)
    for place, before in zip(places, published, strict=False):  # of most runs nothing was published
        print(compared(read_record(place), read_record(before), before.relative_to(RESULTS.parent)))


def recorded(folder: Path, tasks: Sequence[str]) -> list[Path]:
    """Where a run's records lie: in its folder, or, where it has learned several data sets, in one within for each."""
    return [folder] if len(tasks) == 1 else [folder / file_name(task) for task in tasks]


def finished(places: Sequence[Path]) -> bool:
    """Whether every record is there; of a team, the first looks for all."""
    return distributed.broadcast_from_main(all((place / RECORD).exists() for place in places))


def has_weights(folder: Path) -> bool:
    """Whether a finished run's weights are here as they were trained; of a team, the first looks for all."""
    return distributed.broadcast_from_main((folder / WEIGHTS).exists())


def finish(
    model: Model,
    tasks: tuple[Task, ...],
    settings: Settings,
    identity: dict[str, object],
    progress: Progress,
    seconds: dict[str, float],
    folder: Path,
    places: Sequence[Path],
) -> None:
    """Play the trained model, keep it, and write a record for each task."""
    run, log = settings.run, EvaluationLog(folder, model, settings.machine.checkpoint_seconds)
    counts = [episodes_of(run, task.spec) for task in tasks]
    pairs = zip(tasks, counts, strict=True)
    played = [measure(model, settings, task, count, run.target_returns, log) for task, count in pairs]
    seconds["evaluate"] = log.seconds
    save_model(folder, run.model, model)
    for place, task, evaluations in zip(places, tasks, played, strict=True):
        if not (place / RECORD).exists():
            commits = commits_of(folder)
            write_record(place, record(settings, identity, task, model, progress, evaluations, seconds, commits))


def prepare(machine: Machine) -> torch.device:
    """Threads, device and tracker, before anything is computed."""
    tracker(machine.track)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    return find_device(machine.device)


def playable(settings: Settings) -> Settings:
    """The settings without the tasks that cannot be played here, each of which is named with the reason.

    Raises:
        UserError: none of them can be.
    """
    run, kept = settings.run, []
    for place, name in enumerate(run.env):
        try:
            check_playable(dataset(name).env, run.physics)
            kept.append(place)
        except UserError as error:
            if len(run.env) == 1:
                raise
            print(f"Left out: {name}. {error}")
    if not kept:
        raise UserError(f"None of {len(run.env)} data sets can be played here: install what they need.")
    lists = {name: getattr(run, name) for name in ("env", "task_weights", "path") if getattr(run, name)}
    rest: dict[str, Any] = {name: tuple(values[place] for place in kept) for name, values in lists.items()}
    return replace(settings, run=replace(run, **rest))


def load_tasks(settings: Settings) -> tuple[Task, ...]:
    """The recorded trajectories of each --env, as the run wants to learn from them."""
    run = settings.run
    paths = run.path or (None,) * len(run.env)
    return tuple(load_data(settings, name, path) for name, path in zip(run.env, paths, strict=True))


def load_data(settings: Settings, name: str, path: Path | None) -> Task:
    run = settings.run
    package = len(run.env) > 1 and path is None and bool(answered_kind(name))  # whatever the others' source
    data: Task = load(
        Request(
            name=name,
            source="auto" if package else run.source,
            path=path,
            steps=None if package else run.steps,
            seed=run.data_seed,
            replay_steps=run.replay_steps,
            replay_checkpoints=run.replay_checkpoints,
            physics=run.physics,
            data_dir=settings.machine.data_dir,
            allow_mismatch=run.allow_mismatch,
        )
    )
    print(describe(data))
    return select(data, run, name)


def digests(tasks: tuple[Task, ...]) -> str | list[str]:
    """What is in the data, as part of the run's identity."""
    each = [task.origin.digest for task in tasks]
    return each[0] if len(each) == 1 else each


def resolve(settings: Settings, tasks: tuple[Task, ...], device: torch.device) -> Settings:
    """Settings with every `auto` decided, as the record will have them."""
    run, machine = settings.run, settings.machine
    rows = [dataset(task.origin.name) for task in tasks]
    precision = run.precision
    if precision == "auto":
        precision = "bf16" if has_bf16(device) and isinstance(settings.config, ModelConfig) else "fp32"
    targets = run.target_returns or rows[0].environment.target_returns
    if not find_named(run.model).model.return_conditioned:
        if run.target_returns:
            print(f"{run.model} takes no target return: --target-returns is not used.")
        targets = ()
    elif not targets and isinstance(tasks[0], Trajectories):
        targets = (best_return(tasks[0]),)
    sources = {task.origin.source for task in tasks}
    source = sources.pop() if len(sources) == 1 else run.source  # each record says its own
    env = tuple(row.name for row in rows)
    shared = {row.environment.physics(run.physics) for row in rows}
    physics = shared.pop() if len(shared) == 1 else run.physics  # each record says its own
    found: dict[str, Any] = {"env": env, "source": source, "physics": physics, "precision": precision}
    found["target_returns"] = targets
    machine = replace(machine, device=str(device), threads=torch.get_num_threads())
    return Settings(replace(run, **found), settings.config, machine)


def best_return(data: Trajectories) -> float:
    """The target return if none is given: the best in the data, rounded to five digits."""
    return float(f"{data.finished_returns.max():.5g}")


def build(settings: Settings, data: Task | Mixture, device: torch.device, state: Path) -> Model:
    """A fresh model, its weights decided by the seed, calibrated to the data; or as it was when it was interrupted."""
    run = settings.run
    torch.manual_seed(run.seed)
    model = find_named(run.model, data.spec).model(settings.config, data.spec)
    if not isinstance(model, SequenceModel):
        return model
    if run.start:
        print(f"{begin_with(model, run.start):,} parameters begin as those of {run.start}.")
    if state.exists():
        load_state_weights(state, model)
    model.calibrate(data)  # type: ignore[arg-type]  # a Mixture only where the model takes several
    if run.start:
        keep_calibration(model, run.start)
    rise = round(model.config.warmup_fraction * run.updates)
    print(
        f"Model: {run.model}, {parameters(model):,} parameters, {run.updates:,} updates of "
        f"{model.config.batch_size} windows, the learning rate rising over the first {rise:,}; "
        f"{run.precision} on {device_name(device)}, {settings.machine.threads} threads."
    )
    if left_out := model.metadata().get("left out"):
        print(f"       Of each observation it does not read {', '.join(left_out)}.")
    return model.to(device)


def learn(model: Model, data: Task | Mixture, settings: Settings, folder: Path, clock: Clock) -> Progress:
    """Train a model, or calibrate one of which that is all."""
    run, machine = settings.run, settings.machine
    if not isinstance(model, SequenceModel):
        return calibrate(model, data)

    def play_a_little(model: Model) -> dict[str, float]:
        row: dict[str, float] = {}
        model = distributed.gather_model(model)
        tasks: tuple[Task, ...] = data.tasks if isinstance(data, Mixture) else (data,)
        for task in tasks if distributed.is_main_process() else ():
            played = measure(model, settings, task, run.evaluate_episodes, run.target_returns[:1])[0]
            column = return_column(played.target_return) + (f" {task.origin.name}" if len(run.env) > 1 else "")
            row[column] = mean_of(played, task)
        return row

    if machine.shard:
        distributed.check_shares(model.config, len(run.env))
    for part in model.modules():
        if isinstance(getattr(part, "recompute", None), bool):
            setattr(part, "recompute", machine.recompute)  # noqa: B010  # modules' attributes have no type
    track = machine.track if distributed.is_main_process() else "none"
    with tracked(track, folder, settings.resolved()) as log:
        return train(model, data, run, folder, clock, play_a_little, log, machine.shard, machine.micro_batch)


def show(places: list[Path]) -> None:
    for place in places:
        print(summarize(read_record(place), place))
