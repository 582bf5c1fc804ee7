"""Watch a trained agent: python experiments/play.py results/runs/<run> --video hopper.mp4

    python experiments/play.py results/runs/<run of tt> --plans plans.png     # what it planned over what happened
    python experiments/play.py results/runs/<run of many tasks> --grid grid.png    # all of them, with scores
    python experiments/play.py results/runs/<run on easy-vqa> --sheet answers.png    # pictures with its answers

Plays a finished run's model in the environment and the physics in which it was measured. Episode 0 begins where the
evaluation's first episode began. A video is rendered off screen, streamed to ffmpeg and renamed when it is whole.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from report.grid import command
from report.score_families import is_answered
from report.store import RECORD, Record, read_record
from training.cli import exit_on_user_error
from training.provenance import PROJECT
from training.run_lock import CARD, weights_of
from trajectories.errors import UserError, did_you_mean
from trajectories.gym_registry import trust
from trajectories.names import file_name

PLANS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Options:
    """Play a finished run's model, and film it."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of the run, results/runs/<run>"""
    env: str | None = None
    """which of its data sets' environments to play, where it has learned several"""
    video: Path | None = None
    """write what happens into this file (.mp4)"""
    plans: Path | None = None
    """draw what a Trajectory Transformer planned in the first episode into this file (.png, .svg, .pdf)"""
    sheet: Path | None = None
    """where nothing is played: write pictures with the answers into this file (.png), else into the run's folder"""
    grid: Path | None = None
    """draw a frame of each of its tasks with the score into this file (.png)"""
    path: Path | None = None
    """where nothing is played: the folder of pictures or texts of your own"""
    episodes: int | None = None
    """how many, one after the other, else 1; of pictures with answers, else 24"""
    seed: int = 0
    """number of the first episode; 0 is the evaluation's first"""
    target_return: float | None = None
    """return to ask for, if not the run's first"""
    device: str = "cpu"
    """where the model computes"""
    model: str | None = None
    """package.module:Class, where the run's model is one of your own"""


def main(options: Options) -> None:
    """Play and film what the options say; torch is imported once there is something to play."""
    if options.grid:
        return draw_grid(options, options.grid)
    record = finished(options.run, options.env)
    check(options)
    check_fits(options, record)
    from training.watch import watch

    watch(
        record,
        options.run,
        own_model=options.model,
        device=options.device,
        target_return=options.target_return,
        first=options.seed,
        episodes=options.episodes,
        video=options.video,
        plans=options.plans,
        sheet=options.sheet,
        path=options.path,
    )


def draw_grid(options: Options, file: Path) -> None:
    """All tasks of a run in one picture."""
    check(options)
    first = finished(options.run, task_of(options.run))
    records = [read_record(path.parent) for path in options.run.glob(f"*/{RECORD}")] or [first]
    records.sort(key=lambda record: record.tasks.index(record.dataset))  # as the run has them: family by family
    from training.checkpoint import load_model
    from training.devices import find_device
    from training.show_tasks import show_tasks

    show_tasks(records, load_model(options.run, find_device(options.device), options.model), file)


def finished(run: Path, env: str | None = None, weights: bool = True) -> Record:
    """The run's record, if there is a model beside it; of one of its data sets, where it has learned several.

    Args:
        weights: whether the model is needed.

    Raises:
        UserError: no such run, an unfinished one, one without weights, or one that has not learned `env`; the message
            says what to type.
    """
    if run.is_file():
        raise UserError(f"{run} is a file of a run: give its folder, {run.parent}.")
    if not run.is_dir():
        here = {path.relative_to(run.parent).parts[0] for path in run.parent.rglob(RECORD)}
        known = did_you_mean(run.name, here) if here else "python experiments/run.py makes one."
        raise UserError(f"There is no run {run}: {known}")
    trust(env or "")
    place = recorded(run, env)
    if not (place / RECORD).exists():
        raise UserError(f"{run}: this run is not finished: run its command again, and it goes on where it stopped.")
    record = read_record(place)
    if env not in (None, record.dataset, record.env):
        raise UserError(f"{run}: --env is {env}, but this run was trained on {record.dataset} only: leave --env out.")
    for file in (weights_of(run), run / CARD) if weights else ():
        if not file.exists():
            how = f"`{command(record)}`"
            if run.parent.resolve() != PROJECT / "results" / "runs":
                how = f"remove it, and `{command(record)} --results-dir {run.parent}`"
            lacks = f"{run}: {file.name} is not beside the record (git has the weights of few runs)"
            raise UserError(f"{lacks}: {how} trains it again and prints its folder.")
    return record


def task_of(run: Path) -> str | None:
    """The first data set of a run that has learned several; None where it has learned one."""
    first = next(iter(sorted(run.glob(f"*/{RECORD}"))), None)
    return read_record(first.parent).dataset if first else None


def recorded(run: Path, env: str | None) -> Path:
    """Where the record lies: in the run's folder, or in that of one of its data sets."""
    inside = {path.parent.name: path.parent for path in run.glob(f"*/{RECORD}")}
    if inside and file_name(env or "") not in inside:
        raise UserError(f"{run}: the weights were trained on {', '.join(sorted(inside))}: name one with --env.")
    return inside.get(file_name(env or ""), run)


def check(options: Options) -> None:
    """Refuse what cannot be meant before anything is computed."""
    usual = Options(options.run)
    for name in ("env", "video", "plans", "sheet", "path", "episodes", "seed", "target_return") if options.grid else ():
        if (given := getattr(options, name)) != getattr(usual, name):
            typed = f"--{name.replace('_', '-')} is {given}"
            raise UserError(f"{typed}, but --grid shows all tasks as they were measured: leave one of them out.")
    if options.episodes is not None and options.episodes < 1:
        raise UserError(f"--episodes is {options.episodes}, and there is nothing to see: give 1 or more.")
    if options.seed < 0:
        raise UserError(f"--seed is {options.seed}, and episodes are numbered from 0: give 0 or more.")
    if options.video and options.video.suffix != ".mp4":
        raise UserError(f"--video {options.video}: only mp4 is written: name it {options.video.with_suffix('.mp4')}.")
    if options.plans and options.plans.suffix not in PLANS:
        raise UserError(f"--plans {options.plans}: name it {' or '.join(PLANS)}.")
    for name in ("sheet", "grid"):
        if (file := getattr(options, name)) and file.suffix != ".png":
            raise UserError(f"--{name} {file}: name it .png.")
    for name in ("video", "plans", "sheet", "grid"):
        file = getattr(options, name)
        if file and not file.absolute().parent.is_dir():
            raise UserError(f"--{name} {file}: there is no folder {file.parent}: make it first.")


def check_fits(options: Options, record: Record) -> None:
    """Refuse films of what is answered, and answers of what is played."""
    if options.path and not is_answered(record):
        raise UserError(f"--path {options.path}: {record.dataset} is played, and reads no data: leave it out.")
    if is_answered(record) and (unfit := next((name for name in ("video", "plans") if getattr(options, name)), None)):
        raise UserError(f"--{unfit}: {record.dataset} is answered, and nothing in it is played: give --sheet instead.")
    if options.target_return is not None and not record.protocol.target_returns:
        given = f"--target-return {options.target_return:g}"
        raise UserError(f"{given}: {record.model} takes none: leave it out, or play a run of dt.")
    if options.sheet and record.family != "pairs":
        raise UserError(f"--sheet: {record.dataset} has no pictures with answers: leave it out.")


def console() -> None:
    """The command `trajectory-play`, and of this file."""
    with exit_on_user_error():
        main(tyro.cli(Options))


if __name__ == "__main__":
    console()
