"""Made-up pictures, pairs and texts that several test files share."""

import io
from pathlib import Path

import numpy as np

from trajectories.pairs import Pairs
from trajectories.strings import Strings
from trajectories.text import Text
from trajectories.types import Provenance

COLORS = {"red": (220, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 230), "white": (255, 255, 255)}


def png(color: str = "red", size: tuple[int, int] = (20, 10), kind: str = "PNG") -> bytes:
    """A picture of one color."""
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", size, COLORS[color]).save(content, kind)
    return content.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pairs(count: int = 40, side: int = 16, questions: bool = False, name: str = "made-up") -> Pairs:
    """Pictures of one color each, every fourth held out, and what color they have."""
    names = [list(COLORS)[place % 3] for place in range(count)]
    images = np.stack([np.full((side, side, 3), COLORS[color], np.uint8) for color in names])
    questions_of_all = ["what color is it?" if questions else ""] * count
    held_out = np.arange(count) // 3 % 4 == 3
    return Pairs.of(Provenance(name, "made-up", "0"), images, np.arange(count), questions_of_all, names, held_out)


def text(name: str = "words") -> Text:
    """Documents of few words, the last held out."""
    rng = np.random.default_rng(0)
    words = ["to", "be", "or", "not", "question", "the", "that", "is"]
    documents = [" ".join(rng.choice(words, 400)) + ".\n" for _ in range(5)]
    return Text.of(Provenance(name, "made-up", "1"), Strings.of(documents), np.arange(5) == 4)
