"""Train a model on recorded trajectories, play it in the real environment, record the result. Read this first.

    python experiments/run.py --model dt --env hopper-medium
    python experiments/run.py --model dt --help

The same command run again finds the finished run and prints it; an interrupted run goes on from its last checkpoint.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from backbone.interface import SequenceModel
from environments.interface import Environments
from environments.make import make
from environments.scores import normalized
from experiments import provenance
from experiments.checkpoint import STATE, save_model
from experiments.complain import complaining
from experiments.evaluate import episode_seeds, evaluate
from experiments.registry import find
from experiments.settings import Machine, Run, Settings, parse
from experiments.summary import summarise
from experiments.tensorboard import writer
from experiments.train import Progress, train
from results.curve import return_column
from results.store import (
    RECORD,
    Behaviour,
    Evaluation,
    Protocol,
    Record,
    config_hash,
    read_record,
    run_name,
    write_record,
)
from trajectories.catalog import dataset
from trajectories.sources import Request, describe, load
from trajectories.types import Trajectories


def main(arguments: list[str]) -> None:
    settings = parse(arguments)
    began = time.monotonic()
    device = prepare(settings.machine)
    data = load_data(settings)
    settings = resolve(settings, data, device)
    identity = settings.resolved() | {"data": data.origin.digest}
    run, machine = settings.run, settings.machine
    name = run_name(run.model, run.env, run.source, run.seed, config_hash(identity))
    folder = (machine.results_dir or provenance.ROOT / "results" / "runs").absolute() / name
    if (folder / RECORD).exists():
        print("This run is finished already; here is its record.")
        print(summarise(read_record(folder), folder))
        return
    seconds = {"data": time.monotonic() - began}
    model = build(settings, data, device)
    with complaining(f"Run the same command again to continue {name}."):
        progress = learn(model, data, settings, folder)
        seconds["train"] = progress.seconds
        began = time.monotonic()
        evaluations = measure(model, run, run.episodes, run.target_returns, machine.threads)
        seconds["evaluate"] = time.monotonic() - began
        save_model(folder, run.model, model)
        write_record(folder, record(settings, identity, data, model, progress, evaluations, seconds))
        (folder / STATE).unlink(missing_ok=True)
    print(summarise(read_record(folder), folder))


def prepare(machine: Machine) -> torch.device:
    """Threads and device, before anything is computed."""
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if machine.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(machine.device)


def load_data(settings: Settings) -> Trajectories:
    """The recorded trajectories, as the run wants to learn from them."""
    run = settings.run
    data = load(
        Request(
            name=run.env,
            source=run.source,
            path=run.path,
            steps=run.steps,
            seed=run.data_seed,
            physics=run.physics,
            data_dir=settings.machine.data_dir,
        )
    )
    print(describe(data))
    if run.fraction_best < 1:
        data = data.best(run.fraction_best)
        print(f"Of these, the best {data.episodes} episodes ({len(data):,} steps) are learnt from.")
    return data.delayed() if run.delayed_reward else data


def resolve(settings: Settings, data: Trajectories, device: torch.device) -> Settings:
    """Settings with every `auto` decided, as the record will have them."""
    run, machine = settings.run, settings.machine
    row = dataset(run.env)
    precision = run.precision
    if precision == "auto":
        precision = "bf16" if provenance.has_bf16(device) else "fp32"
    asks = find(run.model).model.asks_return
    targets = (run.target_returns or row.environment.target_returns) if asks else ()
    run = replace(run, env=row.name, source=data.origin.source, precision=precision, target_returns=targets)
    return Settings(run, settings.config, replace(machine, device=str(device), threads=torch.get_num_threads()))


def build(settings: Settings, data: Trajectories, device: torch.device) -> SequenceModel:
    """A fresh model, its weights decided by the seed, calibrated to the data."""
    run = settings.run
    torch.manual_seed(run.seed)
    model = find(run.model).model(settings.config, data.spec)
    model.calibrate(data)
    rise = round(settings.config.warmup * run.updates)
    print(
        f"Model: {run.model}, {parameters(model):,} parameters, {run.updates:,} updates of "
        f"{settings.config.batch_size} windows, the learning rate rising over the first {rise:,}; "
        f"{run.precision} on {provenance.device_name(device)}, {settings.machine.threads} threads."
    )
    return model.to(device)


def learn(model: SequenceModel, data: Trajectories, settings: Settings, folder: Path) -> Progress:
    run, machine = settings.run, settings.machine

    def play_a_little(model: SequenceModel) -> dict[str, float]:
        played = measure(model, run, run.evaluate_episodes, run.target_returns[:1], machine.threads)[0]
        return {return_column(played.target_return): sum(played.returns) / len(played.returns)}

    with writer(folder if machine.tensorboard else None) as log:
        return train(model, data, run, folder, machine.checkpoint_seconds, play_a_little, log)


def measure(
    model: SequenceModel, run: Run, episodes: int, targets: tuple[float, ...], threads: int
) -> tuple[Evaluation, ...]:
    """Play the episodes once for each target return; once in all if the model cannot be asked."""
    environment = dataset(run.env).env
    environments: Environments = make(environment, episodes, run.physics, threads)
    evaluations = []
    for target in targets or (None,):
        doing = "playing" if target is None else f"playing, asked for {target:g}"
        played = evaluate(model, environments, target, doing)
        score = float(normalized(environment, played.returns).mean())
        evaluations.append(Evaluation.of(target, played.returns, played.lengths, score))
    environments.close()
    return tuple(evaluations)


def record(
    settings: Settings,
    identity: dict[str, object],
    data: Trajectories,
    model: SequenceModel,
    progress: Progress,
    evaluations: tuple[Evaluation, ...],
    seconds: dict[str, float],
) -> Record:
    run = settings.run
    row = dataset(run.env).environment
    head, dirty = provenance.commit()
    device = torch.device(settings.machine.device)
    return Record(
        model=run.model,
        dataset=run.env,
        env=row.name,
        source=run.source,
        seed=run.seed,
        data={"digest": data.origin.digest, "steps": len(data), **data.origin.details},
        config=identity,
        protocol=Protocol(
            episodes=run.episodes,
            checkpoint="last",
            physics=run.physics,
            environment=row.gym_id,
            target_returns=run.target_returns,
            seeds=episode_seeds(run.episodes),
            random_score=row.random_score,
            expert_score=row.expert_score,
        ),
        behaviour=Behaviour.of(data.returns, float(normalized(row.name, data.returns).mean())),
        evaluations=evaluations,
        parameters=parameters(model),
        updates=progress.update,
        tokens=progress.tokens,
        seconds={name: round(value, 1) for name, value in seconds.items()},
        peak_memory_mb=round(provenance.peak_memory_mb(device), 1),
        device=provenance.device_name(device),
        threads=settings.machine.threads,
        versions=provenance.versions(),
        commit=head,
        dirty=dirty,
        command=settings.command(),
    )


def parameters(model: SequenceModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    with complaining():
        main(sys.argv[1:])
