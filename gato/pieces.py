"""The tokenizer that a Gato reads and writes text with, as part of its weights: a checkpoint carries its pieces.

Where a task is answered, they are fitted to the texts of all tasks that are learned: missions, questions, answers,
captions, documents. The same data and the same number of pieces give the same ones, and a run's record has their hash.

Lines    of a document are its own; every other text is one line. At most `LEARNED` bytes of each task are used: ten
         million bytes of CPython's documentation gave pieces as good as two million (2.9 bytes each)
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gato.text import SHIPPED_PIECES, Text, fit, shipped
from trajectories.pairs import Pairs
from trajectories.parts import to_text, view
from trajectories.statistics import blocks
from trajectories.text import Text as Documents
from trajectories.types import Trajectories

LEARNED = 1 << 21  # bytes


class Pieces(nn.Module):
    """A SentencePiece model.

    Args:
        most: pieces that are fitted at most; 0: the shipped ones are used.
    """

    model: Tensor  # (n,) uint8, the model's file; empty: the shipped pieces

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.kept = False  # whether they are another run's, and stay as they are
        self.register_buffer("model", torch.zeros(0, dtype=torch.uint8))
        self._text: Text | None = None

    @property
    def rows(self) -> int:
        """Ids that there are room for."""
        return self.most or SHIPPED_PIECES

    @property
    def text(self) -> Text:
        """The tokenizer.

        Raises:
            UserError: a checkpoint holds no SentencePiece model.
        """
        if self._text is None:
            content = self.model.cpu().numpy().tobytes()
            self._text = Text(content=content) if content else shipped()
        return self._text

    def fit(self, parts: Iterable[Trajectories | Pairs | Documents]) -> None:
        """Fit the pieces to the texts of some tasks.

        Raises:
            UserError: there is too little text.
        """
        if not self.most or self.kept:
            return
        named = [part for part in parts if next(lines_of(part), None) is not None]
        lines = (line for part in named for line in lines_of(part))
        self._text = fit(lines, self.most, ", ".join(part.origin.name for part in named))
        self.model = torch.frombuffer(bytearray(self._text.content), dtype=torch.uint8).to(self.model.device)

    def keep(self, model: Tensor) -> None:
        """Take another run's pieces over, whose rows are: the same ids would stand for other texts.

        Args:
            model: as in this module; empty: the shipped pieces.
        """
        self.model, self._text, self.kept = model.to(self.model.device), None, True

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A checkpoint's pieces, however long their file is."""
        if (kept := state_dict.get(f"{prefix}model")) is not None:
            self.model, self._text = torch.empty_like(kept, device=self.model.device), None
        super()._load_from_state_dict(state_dict, prefix, *rest)


def lines_of(data: Trajectories | Pairs | Documents) -> Iterator[str]:
    """The texts of a task that are learned from, line by line; none of what is held out."""
    if isinstance(data, Pairs):
        texts = [text for text in data.texts]
        columns = np.concatenate([data.questions[data.learned], data.answers[data.learned]])
        sizes = data.texts.sizes
        yield from (texts[place] for place in columns[:: _every(int(sizes[columns].sum()))] if sizes[place])
    elif isinstance(data, Documents):
        every, count = _every(len(data)), 0
        for place in np.flatnonzero(~data.held_out):
            for line in data.documents[place].splitlines(keepends=True):
                if count % every == 0:
                    yield line
                count += 1
    else:
        for part in data.spec.parts:
            if part.kind == "text":
                column = view(data.observations, data.spec.parts)[part.name]
                yield from sorted({to_text(row) for rows in blocks(column) for row in column[rows]})


def _every(size: int) -> int:
    """Of so many bytes every how many lines are used."""
    return -(-size // LEARNED)
