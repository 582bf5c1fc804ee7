"""Text for Gato: chunks of documents to learn from, and how many nats whole documents take.

A chunk begins with the tokenizer's first id, so that its first token is predicted, too. Documents are read in windows
of a chunk's length that overlap by half: each token but a document's first ones is predicted from at least as much.

Shapes   B chunks, L tokens
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gato.stream import TokenBlock, TokenSequence, TokenType, build
from gato.text import Text
from trajectories.progress import progress
from trajectories.text import Text as Documents

PIECE = 512  # bytes: chunks begin at the first blank behind a multiple of these
KEPT = 1 << 16  # pieces whose tokens are remembered
BLANKS = b" \n\t\r"
WINDOWS = 16  # that are read at once


class Chunks:
    """Draws chunks of documents, tokenized when they are drawn first."""

    def __init__(self, data: Documents, text: Text) -> None:
        self.data, self.text = data, text
        self.learned = np.flatnonzero(~data.held_out)
        self.ends = np.cumsum(data.documents.sizes[self.learned])  # of each document, counted in bytes
        self._known: dict[tuple[int, int], list[int]] = {}

    def sample(self, rng: np.random.Generator, size: int, length: int) -> TokenSequence:
        """Chunks of `length` tokens, each from a uniform place on; shorter where their document ends."""
        places = rng.integers(self.ends[-1], size=size)
        documents = np.searchsorted(self.ends, places, side="right")
        begins = np.concatenate([[0], self.ends[:-1]])
        rows = []
        for document, place in zip(documents, places, strict=True):
            piece, row = int(place - begins[document]) // PIECE, [self.text.begin]
            while len(row) < length and (more := self.ids(int(self.learned[document]), piece)) is not None:
                row += more
                piece += 1
            rows.append(row[:length])
        return replace(sequence(rows), task=self.data.origin.name)

    def ids(self, document: int, piece: int) -> list[int] | None:
        """The tokens of one piece of a document; None behind its end."""
        if (document, piece) not in self._known:
            first, end = self.data.documents.starts[document : document + 2]
            if first + piece * PIECE >= end:
                return None
            if len(self._known) > KEPT:
                self._known.clear()
            cuts = [self._blank(int(first), int(end), each) for each in (piece, piece + 1)]
            content = self.data.documents.data[cuts[0] : cuts[1]].tobytes()
            self._known[document, piece] = self.text.encode(content.decode(errors="ignore"))
        return self._known[document, piece]

    def _blank(self, first: int, end: int, piece: int) -> int:
        """Where a piece begins: at a blank, within the next piece's length if there is one."""
        place = first + piece * PIECE
        if piece == 0 or place >= end:
            return min(place, end)
        ahead = self.data.documents.data[place : min(place + PIECE, end)].tobytes()
        found = [at for blank in BLANKS if (at := ahead.find(blank)) >= 0]
        return place + (min(found) if found else 0)


@lru_cache(maxsize=8)
def chunks(data: Documents, text: Text) -> Chunks:
    """The chunks of a text, made once."""
    return Chunks(data, text)


def sequence(rows: Sequence[Sequence[int]]) -> TokenSequence:
    """Rows of ids as sequences, one timestep each."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    lengths = torch.tensor([[len(row)] for row in rows])
    valid = None if bool((lengths == longest).all()) else (torch.arange(longest) < lengths)[:, None]
    block = TokenBlock(TokenType.TEXT, ids[:, None], valid=valid)
    ones = torch.ones(len(rows), 1, dtype=torch.bool)
    return build([block], ones, torch.zeros(len(rows), 1, dtype=torch.long))


def nats(
    documents: Sequence[str], text: Text, length: int, score: Callable[[TokenSequence, Tensor], Tensor]
) -> np.ndarray:
    """How many nats each document takes, (D,) float64.

    Args:
        length: tokens of a window.
        score: the nats of the targets of some windows, (B,), of those at the places, (B, L) bool, that count.
    """
    inside = length - 1  # ids of a window, beside the first
    overlap = inside // 2
    windows = []
    for place, ids in enumerate(map(text.encode, documents)):
        for begin in range(0, max(len(ids) - overlap, 1), inside - overlap):
            windows.append((place, [text.begin, *ids[begin : begin + inside]], overlap if begin else 0))
    windows.sort(key=lambda window: -len(window[1]))  # windows of one length are read together
    total = np.zeros(len(documents))
    with progress(len(windows), "reading", "windows") as bar:
        for first in range(0, len(windows), WINDOWS):
            places, rows, known = zip(*windows[first : first + WINDOWS], strict=True)
            batch = sequence(rows)
            counted = torch.arange(batch.ids.shape[1]) > torch.tensor(known)[:, None]
            np.add.at(total, list(places), score(batch, counted).double().cpu().numpy())
            bar.update(len(rows))
    return total
