"""All tasks of a run in one picture: what each looks like while the run's model acts in it, with its score below."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from backbone.interface import Model
from environments.make import make
from report.score_families import is_answered
from report.store import Record
from sources import contact_sheet
from sources.loading import Request, load
from training import answers
from training.evaluate import episode_seeds
from training.watch import agent, first_picture
from trajectories.errors import UserError
from trajectories.pairs import Pairs

STEPS = 40  # that are played before an environment is drawn


def show_tasks(records: Sequence[Record], model: Model, file: Path) -> None:
    """Draw a grid of all tasks; one that has nothing to show is left out, and named.

    Args:
        records: of one run, a task each.
        file: the picture, .png.

    Raises:
        UserError: nothing can be drawn here, or the file cannot be written.
    """
    pictures, captions = [], []
    for record in records:
        try:
            picture = pair(record) if is_answered(record) else frame(record, model)
        except UserError as error:
            print(f"Left out: {record.dataset}. {error}")
            continue
        pictures.append(squared(picture))
        captions.append(f"{record.dataset}\n{score(record)}")
    if not pictures:
        raise UserError(f"--grid {file}: none of {len(records)} tasks can be drawn here.")
    contact_sheet.draw(np.stack(pictures), captions, file, "--grid")
    print(f"grid    {file}: {len(pictures)} of {len(records)} tasks")


def frame(record: Record, model: Model) -> np.ndarray:
    """An environment, (H, W, 3) uint8, after the first steps of the evaluation's first episode."""
    environments = make(record.env, 1, record.protocol.physics, render_mode="rgb_array")
    try:
        (seed,) = episode_seeds(1)
        player = agent(record, model, next(iter(record.protocol.target_returns), 0.0), seed)
        observations, rewards, live = environments.reset((seed,)), np.zeros(1), np.ones(1, bool)
        for _ in range(STEPS):
            step = environments.step(player.act(observations, rewards, live), live)
            observations, rewards = step.observations, step.rewards
            if step.terminated[0] or step.truncated[0] or (step.success is not None and step.success[0]):
                break
        return first_picture(environments)
    finally:
        environments.close()


def pair(record: Record) -> np.ndarray:
    """The first of the pictures that are held out, (H, W, 3) uint8.

    Raises:
        UserError: it is text, or the data are not here.
    """
    if record.family != "pairs":
        raise UserError("It is text, and has no picture.")
    if record.source == "file":
        raise UserError("It is data of your own.")
    data = load(Request(record.dataset, record.source))
    assert isinstance(data, Pairs)
    pairs, _ = answers.measured(data, 1)
    return np.asarray(data.images[data.which[pairs[0]]])


def score(record: Record) -> str:
    """What the model scores, in the words of its kind of score."""
    played = record.evaluations[0]
    if played.success:
        return f"{played.score:.0f}% success"
    if is_answered(record):
        return f"{played.score:.1f}% right"
    return f"score {played.score:.0f}"


def squared(picture: np.ndarray) -> np.ndarray:
    """A picture within a white square of a cell's size."""
    from PIL import Image, ImageOps

    side = contact_sheet.CELL
    return np.asarray(ImageOps.pad(Image.fromarray(np.asarray(picture)), (side, side), color="white"))
