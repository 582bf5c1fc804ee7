"""The effect of the planner's settings: play a finished Trajectory Transformer under others, without training anew.

    python experiments/plan.py results/runs/<run> --horizon 15 --beam-width 128 --plan-every 1
    python experiments/plan.py results/runs/<run> --horizon 5 10 15 --cdf-actions 0 0.3 0.6     # a grid of nine
    python experiments/report.py          # results/plans.md and a figure

Each setting is played on the same episodes as the run's own evaluation and kept in plans.json beside its record as soon
as it is measured. A killed command goes on where it stopped; of what is kept nothing is played again.
"""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from backbone.config import BaseConfig
from backbone.options import HELP, option
from experiments.play import finished, recorded
from report import markdown, plans
from report.store import Record
from training.cli import exit_on_user_error
from training.settings import closest
from training.staleness import changed_numbers, entry_of
from training.start import config_of
from trajectories.errors import UserError
from trajectories.names import plain_name
from trajectory_transformer.config import ImageConfig

FOLDER = ".plans"  # below the run's: what has been played of a setting that is not measured yet


@dataclass(frozen=True)
class Options:
    """Measure a finished run of a Trajectory Transformer under several settings of its planner."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of the run, results/runs/<run>"""
    episodes: int | None = None
    """how many for each setting, if not as many as in the run's record"""
    threads: int = 0
    """threads for tensors; 0: one for each core"""
    device: str = "cpu"
    """where the model computes"""
    checkpoint_seconds: float = 30.0
    """a killed command loses at most about this much work"""


def parse(arguments: Sequence[str]) -> tuple[Options, dict[str, tuple[Any, ...]]]:
    """The options, and the values of each of the planner's that is given.

    Raises:
        UserError: an option that decides the weights, or that there is not.
    """
    known = {each.name: each for each in fields(ImageConfig)}
    for word in arguments:
        name = word.partition("=")[0].removeprefix("--").removeprefix("no-").replace("-", "_")
        if word.startswith("--") and name in known and name not in ImageConfig.acting:
            dashed = name.replace("_", "-")
            raise UserError(f"--{dashed} decides the weights, which are trained: run.py --{dashed} trains others.")
    several = [
        (name, tuple[type(known[name].default), ...], option((), known[name].metadata[HELP]))  # type: ignore[misc]
        for name in ImageConfig.acting
    ]
    planner: Any = make_dataclass("planner", several, frozen=True)
    line: Any = make_dataclass("Line", [("usual", Options), ("planner", planner, option(planner(), ""))], frozen=True)
    found, unknown = tyro.cli(
        line,
        config=(tyro.conf.OmitArgPrefixes,),
        args=list(arguments),
        prog="plan.py",
        description=__doc__,
        return_unknown_args=True,
    )
    if unknown:
        raise UserError(f"Unknown option {unknown[0]!r}: {closest(unknown[0], found)}")
    return found.usual, {name: values for name, values in vars(found.planner).items() if values}


def main(options: Options, given: Mapping[str, tuple[Any, ...]]) -> None:
    """Measure what is not measured yet, and print all that is; torch is imported once there is something to play."""
    record = finished(options.run, weights=False)
    config = planner_config(options.run, record)
    cells = grid(config, given)
    episodes = record.protocol.episodes if options.episodes is None else options.episodes
    if episodes < 1:
        raise UserError(f"--episodes is {episodes}, and there is nothing to play: give 1 or more.")
    place = recorded(options.run, None)
    known = plans.read(place)
    if not (given or known.cells):
        raise UserError(f"{options.run}: no other plans were measured: give options of the planner, as --horizon 5 15.")
    missing = [cell for cell in cells if not measured(record, known, cell, episodes)]
    print(f"{len(cells)} settings of the planner, {len(cells) - len(missing)} of them measured already.")
    if missing:
        finished(options.run)
        measure(options, record, place, missing, episodes)
    print(markdown.grid(plans.table([(record, plans.read(place))])))


def planner_config(run: Path, record: Record) -> BaseConfig:
    """The settings that the run's model has.

    Raises:
        UserError: it does not plan, or its record's settings are no longer any.
    """
    entry = entry_of(record)
    if entry is None or not {"horizon", "beam_width"} <= set(entry.config.acting):
        raise UserError(f"{run}: {record.model} does not plan: give a run of tt.")
    try:
        return config_of({"config": record.config["model"]}, entry)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run}: its settings are of another version ({error}): train it again.") from error


def grid(config: BaseConfig, given: Mapping[str, tuple[Any, ...]]) -> list[BaseConfig]:
    """The run's settings with every combination of the values given.

    Raises:
        UserError: a value out of its limits, or an option that only runs on images have.
    """
    for name in given:
        if name not in config.acting:
            raise UserError(f"--{name.replace('_', '-')} is for runs on images: leave it out.")
    values = [dict.fromkeys(each) for each in given.values()]
    return [replace(config, **dict(zip(given, each, strict=True))) for each in itertools.product(*values)]


def settings_of(config: BaseConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.acting}


def measured(record: Record, known: plans.Plans, config: BaseConfig, episodes: int) -> bool:
    """Whether that was played, in the run's own evaluation or since."""
    settings = settings_of(config)
    own = plans.own(record, settings)
    if plans.key_of(own, record.protocol.episodes) == plans.key_of(settings, episodes):
        return True
    return known.find(settings, episodes) is not None


def measure(options: Options, record: Record, place: Path, cells: Sequence[BaseConfig], episodes: int) -> None:
    """Play each setting and keep what came of it; one process at a time is at a run."""
    import torch

    from training import provenance
    from training.checkpoint import load_model
    from training.devices import device_name, find_device
    from training.evaluation_log import EvaluationLog
    from training.replay import replay
    from training.run_lock import PLAYED, hold_run, rounding
    from trajectory_transformer.model import TrajectoryTransformer, check

    device = find_device(options.device)
    model = load_model(options.run, device)
    assert isinstance(model, TrajectoryTransformer)
    for why in changed_numbers(record):
        print(f"Beware: {why}, and so these plans are not those of the record.")
    for cell in cells:
        check(cell, model.spec, model.flatten.size)  # type: ignore[arg-type]  # a Trajectory Transformer's
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = options.run / FOLDER
    again = f"Run the same command again to continue with {plain_name(record.name)}."
    with hold_run(folder, {}), exit_on_user_error(again), replay(record, model, episodes) as replayed:
        for number, cell in enumerate(cells, 1):
            settings = settings_of(cell)
            if (known := plans.read(place)).find(settings, episodes):  # another process was here before
                continue
            model.config = cell  # type: ignore[assignment]  # likewise
            log = EvaluationLog(folder, model, options.checkpoint_seconds)
            name = json.dumps([settings, episodes], sort_keys=True)
            played = replayed.play(f"playing {number} of {len(cells)}", log, name)
            head, dirty = provenance.commit()
            now = plans.Planned(
                settings=settings,
                played=played,
                seconds=round(log.seconds, 1),
                device=device_name(device),
                threads=torch.get_num_threads(),
                versions=provenance.versions() | rounding(options.run),
                commit=head,
                dirty=dirty,
            )
            plans.write(place, plans.Plans((*known.cells, now)))
            (folder / PLAYED).unlink()  # the next setting's seconds are its own


def console() -> None:
    """The command `trajectory-plan`, and of this file."""
    with exit_on_user_error():
        main(*parse(sys.argv[1:] or ["--help"]))


if __name__ == "__main__":
    console()
