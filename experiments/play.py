"""Watch a trained agent: python experiments/play.py results/runs/<run> --video hopper.mp4

    python experiments/play.py results/runs/<run of tt> --plans plans.png     # what it planned over what happened

Plays a finished run's model in the environment and the physics in which it was measured. Episode 0 begins where the
evaluation's first episode began. A video is rendered off screen, streamed to ffmpeg and renamed when it is whole.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from backbone.interface import Player, SequenceModel
from environments.interface import Environments, Step, Wrapped
from environments.make import make
from report.grid import command
from report.store import RECORD, Record, read_record
from training.checkpoint import CARD, WEIGHTS, load_model
from training.cli import exit_on_user_error
from training.devices import find_device
from training.evaluate import Played, begin, episode_seeds, play
from training.plan_pictures import Plans, check_file, draw
from trajectories.atomic import atomic_file
from trajectories.errors import UserError, did_you_mean
from trajectories.gym_registry import trust
from trajectories.names import file_name

FASTEST = 60  # frames a second; a faster simulator is shown every few steps
USUAL = 30  # frames a second where an environment does not say how long a step lasts


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
    episodes: int = 1
    """how many, one after the other"""
    seed: int = 0
    """number of the first episode; 0 is the evaluation's first"""
    target_return: float | None = None
    """return to ask for, if not the run's first"""
    device: str = "cpu"
    """where the model computes"""
    model: str | None = None
    """package.module:Class, where the run's model is one of your own"""


def main(options: Options) -> None:
    record = finished(options.run, options.env)
    check(options)
    model = load_model(options.run, find_device(options.device), options.model)
    asked = record.protocol.target_returns[:1] if options.target_return is None else (options.target_return,)
    print(f"{record.column} on {record.dataset}: {record.protocol.environment or record.env}, "
          f"{record.protocol.physics} physics, asked for {f'{asked[0]:g}' if asked else 'nothing'}")  # fmt: skip
    environments = make(record.env, 1, record.protocol.physics, render_mode="rgb_array" if options.video else None)
    plans = Plans() if options.plans else None
    try:
        with camera(options.video, environments) as film:
            for number, seed in list(enumerate(episode_seeds(options.seed + options.episodes)))[options.seed :]:
                player = agent(record, model, asked[0] if asked else 0.0, seed)
                if plans is not None and number == options.seed:
                    player = plans.watch(player)
                print(told(record, number, play(player, film or environments, (seed,), "playing")))
    finally:
        environments.close()
    if options.video:
        print(f"video   {options.video}")
    if options.plans and plans:
        title = f"{record.column} on {record.dataset}: what it planned over what happened in episode {options.seed}"
        draw(plans, record.env, title, options.plans)
        print(f"plans   {options.plans}: {told_of_plans(plans)}")


def finished(run: Path, env: str | None = None) -> Record:
    """The run's record, if there is a model beside it; of one of its data sets, where it has learned several.

    Raises:
        UserError: no such run, an unfinished one, one without weights, or one that has not learned `env`; the message
            says what to type.
    """
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
        raise UserError(f"{run}: --env is {env}, but this run has learnt {record.dataset} only: leave --env out.")
    for name in (WEIGHTS, CARD):
        if not (run / name).exists():
            how = f"`{command(record)}` trains it anew and says where it lies."
            raise UserError(f"{run}: {name} is not beside the record (git keeps no weights): {how}")
    return record


def recorded(run: Path, env: str | None) -> Path:
    """Where the record lies: in the run's folder, or in that of one of its data sets."""
    inside = {path.parent.name: path.parent for path in run.glob(f"*/{RECORD}")}
    if inside and file_name(env or "") not in inside:
        raise UserError(f"{run}: one set of weights has learnt {', '.join(sorted(inside))}: say which with --env.")
    return inside.get(file_name(env or ""), run)


def check(options: Options) -> None:
    """Refuse what cannot be meant before anything is computed."""
    if options.episodes < 1:
        raise UserError(f"--episodes is {options.episodes}, and there is nothing to see: give 1 or more.")
    if options.seed < 0:
        raise UserError(f"--seed is {options.seed}, and episodes are numbered from 0: give 0 or more.")
    if options.video and options.video.suffix != ".mp4":
        raise UserError(f"--video {options.video}: only mp4 is written: name it {options.video.with_suffix('.mp4')}.")
    if options.plans:
        check_file(options.plans)
    if options.video and not options.video.absolute().parent.is_dir():
        raise UserError(f"--video {options.video}: there is no folder {options.video.parent}: make it first.")


def agent(record: Record, model: SequenceModel, target_return: float, seed: int) -> Player:
    """Plays one episode as the run's evaluation played it."""
    run = record.config["run"]
    task = record.dataset if len(record.tasks) > 1 else None
    return begin(model, 1, target_return, seed, task, run.get("delayed_reward", False), run.get("precision", "fp32"))


def told(record: Record, number: int, played: Played) -> str:
    score = float(record.protocol.score(played.returns[0]))
    return f"episode {number}: return {played.returns[0]:.1f}, {played.lengths[0]} steps, score {score:.1f}"


def told_of_plans(plans: Plans) -> str:
    """How far the last planned state of a plan lies from the one that came."""
    error = plans.error()
    ahead = np.flatnonzero(np.isfinite(error))[-1]
    return f"{len(plans.made)} plans, {error[ahead]:.2f} deviations off {ahead} steps ahead"


class Film(Wrapped):
    """An environment that shows itself at every few steps: what the evaluator plays is what the camera sees."""

    def __init__(self, environments: Environments, show: Callable[[np.ndarray], None], every: int) -> None:
        super().__init__(environments)
        self._show = show
        self._every = every
        self._steps = 0

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        observations = super().reset(seeds, only)
        self._steps = 0
        self._show(self.render(0))
        return observations

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        step = super().step(actions, live)
        self._steps += 1
        if self._steps % self._every == 0 or bool(step.terminated[0] | step.truncated[0]):
            self._show(self.render(0))
        return step


@contextmanager
def camera(video: Path | None, environments: Environments) -> Iterator[Film | None]:
    """A film of the environment that is written to `video`, in real time; None where no video is wanted.

    Raises:
        UserError: nothing can be rendered or encoded here; the message says what to install.
    """
    if video is None:
        yield None
        return
    try:
        import imageio_ffmpeg
    except ImportError:
        raise UserError("imageio-ffmpeg is not installed: pip install imageio-ffmpeg writes videos.") from None
    environments.reset((0,))
    height, width, _ = first_picture(environments).shape
    steps_a_second = 1 / getattr(environments, "step_seconds", 1 / USUAL)
    every = max(1, round(steps_a_second / FASTEST))
    encoding = {"quality": 8, "macro_block_size": 2, "ffmpeg_log_level": "error", "output_params": ["-f", "mp4"]}
    with atomic_file(video) as fresh:
        writer = imageio_ffmpeg.write_frames(str(fresh), (width, height), fps=steps_a_second / every, **encoding)
        writer.send(None)
        try:
            yield Film(environments, lambda picture: writer.send(np.ascontiguousarray(picture)), every)
        finally:
            writer.close()


def first_picture(environments: Environments) -> np.ndarray:
    """Rendering either works here or never will."""
    try:
        return environments.render(0)
    except UserError:
        raise
    except Exception as error:
        how = "install libegl1 and libgl1, or libosmesa6 and set MUJOCO_GL=osmesa."
        raise UserError(f"Nothing can be drawn here ({type(error).__name__}: {error}): {how}") from error


def console() -> None:
    """The command `trajectory-play`, and of this file."""
    with exit_on_user_error():
        main(tyro.cli(Options))


if __name__ == "__main__":
    console()
