"""A trained agent is watched: its episodes one after the other, filmed, or with what it planned drawn over them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from backbone.interface import Model, Player
from environments.interface import Environments, Step, Wrapped
from environments.make import make
from report.score_families import is_answered
from report.store import Record
from training.checkpoint import load_model
from training.devices import find_device
from training.evaluate import Played, begin, episode_seeds, play
from training.plan_pictures import Plans, draw
from training.show_answers import SHOWN, show_answers
from trajectories.atomic import atomic_file
from trajectories.errors import UserError
from trajectories.parts import to_text, view

FASTEST = 60  # frames a second; a faster simulator is shown every few steps
USUAL = 30  # frames a second where an environment does not say how long a step lasts


def watch(
    record: Record,
    run: Path,
    *,
    own_model: str | None = None,
    device: str = "cpu",
    target_return: float | None = None,
    first: int = 0,
    episodes: int | None = None,
    video: Path | None = None,
    plans: Path | None = None,
    sheet: Path | None = None,
    path: Path | None = None,
) -> None:
    """Play some episodes of a run's model, and print what came of each; or show what it answers.

    Args:
        own_model: package.module:Class, where the run's model is one of the user's own.
        target_return: if not the run's first.
        first: number of the first episode; 0 is the evaluation's first.
        video: file of a film of all of them.
        plans: file of a picture of what was planned in the first.
        sheet: file of the pictures of a task that is answered, with the answers; None: in the run's folder.
        path: where the data of such a task lie, if they are the user's own.
    """
    model = load_model(run, find_device(device), own_model)
    if is_answered(record):
        show_answers(record, model, first, episodes or SHOWN, sheet or run / "answers.png", path)
        return
    targets = record.protocol.target_returns[:1] if target_return is None else (target_return,)
    print(f"{record.column} on {record.dataset}: {record.protocol.environment or record.env}, "
          f"{record.protocol.physics} physics, target return {f'{targets[0]:g}' if targets else 'none'}")  # fmt: skip
    environments = make(record.env, 1, record.protocol.physics, render_mode="rgb_array" if video else None)
    planned = Plans() if plans else None
    try:
        with camera(video, environments) as film:
            for number, seed in list(enumerate(episode_seeds(first + (episodes or 1))))[first:]:
                player = agent(record, model, targets[0] if targets else 0.0, seed)
                if planned is not None and number == first:
                    player = planned.watch(player)
                line = line_of_episode(record, number, play(player, film or environments, (seed,), "playing"))
                print(line + texts(environments, seed))
    finally:
        environments.close()
    if video:
        print(f"video   {video}")
    if plans and planned:
        title = f"{record.column} on {record.dataset}: what it planned over what happened in episode {first}"
        draw(planned, record.env, title, plans)
        print(f"plans   {plans}: {line_of_plans(planned)}")


def agent(record: Record, model: Model, target_return: float, seed: int) -> Player:
    """Plays one episode as the run's evaluation played it."""
    run = record.config["run"]
    task = record.dataset if len(record.tasks) > 1 else None
    return begin(model, 1, target_return, seed, task, run.get("delayed_reward", False), run.get("precision", "fp32"))


def line_of_episode(record: Record, number: int, played: Played) -> str:
    score = float(record.protocol.score(played.returns[0]))
    success = "" if played.success is None else ", solved" if played.success[0] else ", not solved"
    return f"episode {number}: return {played.returns[0]:.1f}, {played.lengths[0]} steps, score {score:.1f}{success}"


def texts(environments: Environments, seed: int) -> str:
    """The end of an episode's line where it began with a text: its mission."""
    parts = environments.spec.parts
    names = [part.name for part in parts if part.kind == "text"]
    if not names:
        return ""
    first = view(environments.reset((seed,)), parts)
    return "".join(f', {name} "{to_text(first[name][0])}"' for name in names)


def line_of_plans(plans: Plans) -> str:
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
    """A film of the environment that is written to `video`, in real time; None without `video`.

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
    seconds = getattr(environments, "step_seconds", None)
    steps_a_second = 1 / seconds if seconds else USUAL
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
