"""An observation's tokens: of an array, or of its parts (trajectories/parts.py), in the paper's order.

Texts    subwords, as many as the longest text in the task's data has; a shorter one is filled up with the id of
         padding, which is attended to like any other, so that every step of a task has the same tokens at the same
         places. In play a longer text is cut
Images   patches
Grids    of cells of few values: one token a cell, if there are no more kinds of cells than bins (of MiniGrid's, 264).
         49 tokens for 147 numbers make an update 6.6 times as fast
Numbers  a token each
Differs  an observation's text is read and not predicted; the paper predicts all text, an instruction's too

Shapes   B sequences, T steps, n tokens of a part
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor, nn

from backbone.image_shape import image_shape, image_shapes, shape_of_image, shows_images
from backbone.parts import text_keys, unpack
from gato.answers import question_room
from gato.patches import SOME, Pixels
from gato.pieces import Pieces
from gato.stream import TokenBlock, TokenType, image_block, tensor_block
from gato.text import Text, shipped
from gato.tokens import BINS, Layout
from gato.vectors import vector_sizes
from trajectories.errors import UserError
from trajectories.pairs import Pairs
from trajectories.parts import Part, to_text, view
from trajectories.statistics import blocks
from trajectories.text import LINE
from trajectories.text import Text as Documents
from trajectories.types import Spec, Trajectories

PADDING = 0  # an id that encodes nothing: SentencePiece's <unk>, since what is unknown becomes bytes
KEPT = 1 << 16  # texts whose tokens are remembered
FITTED = 2_000  # pieces that are fitted where a task is answered, unless the configuration says otherwise
WORDS = 4  # tokens that an answer is taken to have, where the length of sequences is chosen


class TextTokens(nn.Module):
    """The tokens of the texts that tasks show, and how many of them a step of each task has."""

    lengths: Tensor  # (tasks,), tokens of one text, at least 1; only where a task shows text

    def __init__(self, tasks: Sequence[Spec], pieces: int) -> None:
        super().__init__()
        self.needed = any(task.kind or any(map(is_text, task.parts)) for task in tasks)
        if self.needed:
            self.register_buffer("lengths", torch.ones(len(tasks), dtype=torch.long))
        self.pieces = Pieces(pieces or FITTED * any(task.kind for task in tasks)) if self.needed else None
        self._known: dict[bytes, list[int]] = {}
        self.register_load_state_dict_post_hook(_clear)  # type: ignore[no-untyped-call]

    @property
    def tokenizer(self) -> Text:
        return shipped() if self.pieces is None else self.pieces.text

    @property
    def rows(self) -> int:
        """Rows that a table of ids needs for the pieces."""
        return 0 if self.pieces is None else self.pieces.rows

    def fit(self, parts: Sequence[Trajectories | Pairs | Documents]) -> None:
        """Fit the pieces to the texts of all tasks."""
        if self.pieces is not None:
            self.pieces.fit(parts)
            self._known.clear()

    def length(self, task: int) -> int:
        """Tokens of one text of a task."""
        return int(self.lengths[task]) if self.needed else 1

    def calibrate(self, task: int, data: Trajectories | Pairs | Documents) -> None:
        """Find the longest text of a task, if it shows any; of pairs, the longest question."""
        if isinstance(data, Pairs):
            self.lengths[task] = question_room(data, self.tokenizer)
        if not isinstance(data, Trajectories) or not any(map(is_text, data.spec.parts)):
            return
        columns = [view(data.observations, data.spec.parts)[part.name] for part in data.spec.parts if is_text(part)]
        keys = {row.tobytes() for column in columns for rows in blocks(column) for row in column[rows]}
        self.lengths[task] = max(len(self.ids(key)) for key in keys)

    def ids(self, key: bytes) -> list[int]:
        """The ids of a text by its bytes; at least one."""
        if key not in self._known:
            if len(self._known) > KEPT:
                self._known.clear()
            self._known[key] = self.tokenizer.encode(to_text(key)) or [PADDING]
        return self._known[key]

    def forward(self, texts: UInt8[Tensor, "B T bytes"], task: int) -> Int[Tensor, "B T n"]:
        length = self.length(task)
        rows = [(self.ids(key) + [PADDING] * length)[:length] for key in text_keys(texts)]
        return torch.tensor(rows, device=texts.device).reshape(*texts.shape[:2], length)


def _clear(texts: TextTokens, _: object) -> None:
    """Other pieces were loaded."""
    texts._known.clear()


def images_of(data: Trajectories | Pairs | Documents) -> list[tuple[tuple[int, int, int], np.ndarray]]:
    """The (C, H, W) and the column of every image in the observations of a task."""
    sizes = image_shapes(data.spec)
    if isinstance(data, Documents):
        return []
    if isinstance(data, Pairs):
        return [(sizes[0], data.images[_some(np.unique(data.which[data.learned]))])]
    if not data.spec.parts:
        return [(size, data.observations) for size in sizes]
    columns = view(data.observations, data.spec.parts)
    images = [part for part in data.spec.parts if part.kind == "image"]
    return [(size, columns[part.name]) for size, part in zip(sizes, images, strict=True)]


def _some(places: np.ndarray) -> np.ndarray:
    """As many places, spread over all, as a mean image is taken from."""
    return places[:: -(-len(places) // SOME)]


def is_text(part: Part) -> bool:
    return part.kind == "text"


def is_grid(part: Part) -> bool:
    """Whether each cell is one token."""
    return len(part.shape) > 1 and len(part.sizes) > 1 and math.prod(part.sizes) <= BINS


def part_blocks(
    rows: UInt8[Tensor, "B T bytes"],
    parts: tuple[Part, ...],
    layout: Layout,
    texts: Callable[[Tensor], Tensor],
    side: int,
    channels: int,
    pixels: Callable[[Tensor], Pixels | None] = lambda images: None,
    embedded: bool = False,
) -> list[TokenBlock]:
    """The blocks of observations of several parts: text, then images, then numbers, each in the parts' order.

    Args:
        texts: gives the ids of (B, T, 256) texts.
        side, channels, pixels, embedded: as for `observation_blocks`.

    Raises:
        UserError: a value has no token, or an image has too many channels.
    """
    found, order = unpack(rows, parts), ("text", "image")
    made = []
    for part in sorted(parts, key=lambda part: order.index(part.kind) if part.kind in order else len(order)):
        values = found[part.name]
        if part.kind == "text":
            made.append(TokenBlock(TokenType.INSTRUCTION, texts(values), name=part.name))
        elif part.kind == "image":
            made.append(replace(image_block(values, side, channels, pixels(values)), name=part.name))
        else:
            numbers = values.long() if part.kind == "integer" else values
            numbers = cell_codes(numbers, part) if is_grid(part) else numbers
            made.append(replace(tensor_block(numbers, layout, embedded), name=part.name))
    return made


def cell_codes(cells: Int[Tensor, "*n"], part: Part) -> Int[Tensor, "*m"]:
    """One number for each cell: of MiniGrid's (object, color, state) it is object * 24 + color * 4 + state.

    Raises:
        UserError: a number is none that the cells of this part can have.
    """
    sizes = torch.tensor(part.sizes, device=cells.device)
    if bool(((cells < 0) | (cells >= sizes)).any()):
        raise UserError(f"A cell of {part.name} holds a number that is not below {part.sizes}: name another --task.")
    return (cells * place_values(part).to(cells.device)).sum(dim=-1)


def cells_of(codes: Int[Tensor, "*n"], part: Part) -> Int[Tensor, "*n k"]:
    """The numbers of the cells that have these codes."""
    return codes[..., None] // place_values(part) % torch.tensor(part.sizes)


def place_values(part: Part) -> Int[Tensor, "k"]:
    """What each number of a cell counts in its code."""
    return torch.tensor([math.prod(part.sizes[place + 1 :]) for place in range(len(part.sizes))])


def tokens_per_step(task: Spec, patch: int = 16, text: int = 1, embedded: bool = False) -> int:
    """Tokens of one timestep: 15 on hopper, 36 on ant, 38 on Atari's games, 60 in BabyAI's GoToLocal.

    Args:
        text: tokens of one text.
        embedded: whether an array of floats is one token.
    """
    if embedded and (sizes := vector_sizes(task)):
        return tokens_per_step(task, patch, text) - sum(sizes) + len(sizes)
    if task.kind:
        height, width = (*task.observation_shape[:2], 0, 0)[:2]
        return LINE if task.kind == "text" else patches_of(height, width, patch) + text + 1 + WORDS
    if task.parts:
        return sum(tokens_of(part, patch, text) for part in task.parts) + 1 + task.action_size
    if not shows_images(task):
        return task.observation_size + 1 + task.action_size
    _, high, wide = image_shape(task)
    return patches_of(high, wide, patch) + 1 + task.action_size


def patches_of(high: int, wide: int, side: int) -> int:
    """How many patches cover an image."""
    return -(-high // side) * -(-wide // side)


def tokens_of(part: Part, patch: int, text: int) -> int:
    """Tokens of one part of an observation."""
    if part.kind == "text":
        return text
    if part.kind == "image":
        _, high, wide = shape_of_image(part.shape)
        return patches_of(high, wide, patch)
    return part.size // (part.cell if is_grid(part) else 1)
