"""Pictures with a few lines below each, as one PNG: what is in a data set, or what a model answers."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trajectories.atomic import atomic_file, disk_errors
from trajectories.errors import UserError

COLUMNS = 6
CELL, MARGIN = 160, 12  # pixels: the width of a picture and its lines, and what is free around them
FONT, LINE = 13, 17  # pixels
CHARACTERS = 24  # of a line
LINES = 6  # below a picture at most


def draw(images: np.ndarray, captions: Sequence[str], file: Path, option: str = "--picture") -> None:
    """Write N pictures with a text below each.

    Args:
        images: (N, H, W, 3) uint8.
        captions: N texts; each of their lines begins a new line.
        option: what named the file, for the messages.

    Raises:
        UserError: the file's name does not end in .png, or it cannot be written.
    """
    if file.suffix != ".png":
        raise UserError(f"{option} {file}: name it .png.")
    from PIL import Image, ImageDraw, ImageFont

    wrapped = [_lines(caption) for caption in captions]
    columns = min(COLUMNS, len(images))
    rows = [range(first, min(first + columns, len(images))) for first in range(0, len(images), columns)]
    heights = [CELL + LINE * max(len(wrapped[place]) for place in row) + 2 * MARGIN for row in rows]
    sheet = Image.new("RGB", (columns * (CELL + MARGIN) + MARGIN, sum(heights) + MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, place in enumerate(row):
            left = MARGIN + column * (CELL + MARGIN)
            picture = Image.fromarray(np.asarray(images[place])).resize((CELL, CELL), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left, top))
            pen.rectangle((left, top, left + CELL - 1, top + CELL - 1), outline="#dddddd")
            for number, line in enumerate(wrapped[place]):
                pen.text((left, top + CELL + 4 + number * LINE), line, "black", font)
        top += height
    with disk_errors(file.absolute().parent, option=option), atomic_file(file) as fresh:
        sheet.save(fresh, "PNG")


def _lines(caption: str) -> list[str]:
    """A text in lines that fit below a picture."""
    lines = [line for part in caption.splitlines() for line in textwrap.wrap(part, CHARACTERS)]
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], "..."]
