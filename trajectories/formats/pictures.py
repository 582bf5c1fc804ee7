"""Pictures of any kind as squares of pixels."""

import io
import warnings
from pathlib import Path

import numpy as np

from trajectories.errors import DatasetError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # Pillow reads others by programs of their own (EPS by Ghostscript)
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
LARGEST = 1 << 26  # pixels; a file of few bytes may declare any number
LONGEST = 1 << 26  # bytes of a picture's file


class PictureError(DatasetError):
    """A picture is missing or cannot be read, which is counted where pictures are gathered."""


def square(source: Path | bytes, side: int) -> np.ndarray:
    """A picture as (side, side, 3) uint8, whole and in its proportions, on white where it is transparent or narrower.

    Raises:
        PictureError: it is missing, damaged, too large or of another kind.
    """
    from PIL import Image, ImageOps

    if isinstance(source, Path):
        if not source.is_file() or source.stat().st_size > LONGEST:  # a pipe would be waited for
            raise PictureError(f"{source} is no file of a picture: check --path.")
        source = source.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about metadata that are not used
            image = Image.open(io.BytesIO(source), formats=FORMATS)
            if image.width * image.height > LARGEST:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            image.draft("RGB", (2 * side, 2 * side))  # JPEGs decode faster at a part of their size
            color = image.convert("RGBA")
        ground = Image.new("RGBA", color.size, "white")
        return np.asarray(
            ImageOps.pad(Image.alpha_composite(ground, color).convert("RGB"), (side, side), color="white")
        )
    except Exception as error:  # Pillow fails at a damaged file in many ways
        raise PictureError(f"A picture cannot be read ({error!r:.100}): get a whole copy of it.") from error
