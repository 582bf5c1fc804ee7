"""Any observation as one row of numbers, for models that read vectors.

An array  its numbers, in order
Parts     side by side: first the numbers, then whole numbers of few values and grids of cells as one-hot vectors, then
          which of the data's words each text holds (multi-hot; neither their order nor their number)
Leaves    out images, and words beyond the `WORDS` commonest; a model's record says so (`left_out`)

Shapes    S numbers of a row, N recorded steps
"""

import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from backbone.parts import text_keys, unpack
from trajectories.parts import Part, to_text, view
from trajectories.statistics import blocks
from trajectories.types import Spec

WORDS, LETTERS = 64, 32  # words of the vocabulary, and bytes of a word: BabyAI's missions have some 40
VALUES = 64  # that a whole number can take and still be a one-hot vector
KEPT = 1 << 16  # texts whose words are remembered


class Flatten(nn.Module):
    """Observations of a task as rows of `size` numbers, of which the first `numbers` are no one-hot vectors."""

    words: Tensor  # (WORDS, LETTERS) uint8, only where there are texts

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.texts = [part for part in spec.parts if part.kind == "text"]
        self.choices = [
            part for part in spec.parts if part.kind == "integer" and 0 < max(part.sizes, default=0) <= VALUES
        ]
        self.values = [part for part in spec.parts if part.kind != "image" and part not in self.texts + self.choices]
        self.images = [part for part in spec.parts if part.kind == "image"]
        self.numbers = sum(part.size for part in self.values) if spec.parts else spec.observation_size
        hot = sum(part.size // part.cell * sum(part.sizes) for part in self.choices)
        self.size = self.numbers + hot + WORDS * len(self.texts)
        self.unknown_words = 0  # of the data's, for want of room
        self._known: dict[bytes, np.ndarray] = {}
        if self.texts:
            self.register_buffer("words", torch.zeros(WORDS, LETTERS, dtype=torch.uint8))
        self.register_load_state_dict_post_hook(_clear_words)  # type: ignore[no-untyped-call]

    @property
    def static_shapes(self) -> bool:
        """Whether a GPU can flatten without waiting for the processor, which reads texts."""
        return not self.texts

    def calibrate(self, observations: np.ndarray) -> None:
        """Find the words of (N, *obs) observations."""
        if not self.texts:
            return
        counts: Counter[str] = Counter()
        for part in self.texts:
            column = view(observations, self.spec.parts)[part.name]
            texts = {row.tobytes() for rows in blocks(column) for row in column[rows]}
            counts.update(word for text in sorted(texts) for word in set(words_of(to_text(text))))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in ranked if len(word.encode()) <= LETTERS][:WORDS]
        self.unknown_words = len(ranked) - len(kept)
        self.words.zero_()
        for place, word in enumerate(kept):
            self.words[place, : len(word.encode())] = torch.tensor(list(word.encode()), dtype=torch.uint8)
        self._known.clear()

    def left_out(self) -> dict[str, Any]:
        """What the rows do not hold, for the record; empty where they hold everything."""
        missing = [part.name for part in self.images] + [f"{self.unknown_words} words"] * bool(self.unknown_words)
        return {"left out": missing} if missing else {}

    def forward(self, observations: Shaped[Tensor, "*n"]) -> Shaped[Tensor, "*m S"]:
        if not self.spec.parts:
            return observations.flatten(observations.ndim - len(self.spec.observation_shape))
        found = unpack(observations, self.spec.parts)
        leading = observations.ndim - 1
        rows = [found[part.name].reshape(*observations.shape[:-1], part.size).float() for part in self.values]
        rows += [_one_hot(found[part.name], part, leading) for part in self.choices]
        rows += [self._words(found[part.name]) for part in self.texts]
        return torch.cat(rows, dim=-1)

    def rows(self, observations: np.ndarray) -> np.ndarray:
        """The same for arrays, (N, *obs); without parts they are not copied."""
        if not self.spec.parts:
            return observations.reshape(len(observations), -1)
        found: np.ndarray = self(torch.from_numpy(observations.copy())).numpy()
        return found

    def of_numbers(self, observations: np.ndarray) -> np.ndarray:
        """The numbers among (N, *obs) recorded observations, (N, `numbers`); of an array all of them, as it is."""
        if not self.spec.parts:
            return observations
        columns = view(observations, self.spec.parts)
        rows = [columns[part.name].reshape(len(columns), part.size).astype(np.float32) for part in self.values]
        return np.concatenate(rows, axis=1) if rows else np.zeros((len(columns), 0), np.float32)

    def _words(self, texts: Tensor) -> Float[Tensor, "*n words"]:
        keys = text_keys(texts)
        if unknown := set(keys) - self._known.keys():
            if len(self._known) > KEPT:
                self._known.clear()
                unknown = set(keys)
            vocabulary = {to_text(word): place for place, word in enumerate(self.words.cpu().numpy())}
            self._known |= {key: _multi_hot(key, vocabulary) for key in unknown}
        rows = torch.from_numpy(np.stack([self._known[key] for key in keys]))
        return rows.to(texts.device).reshape(*texts.shape[:-1], WORDS)


def _clear_words(flatten: Flatten, _: object) -> None:
    """Other weights were loaded, and with them other words."""
    flatten._known.clear()


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"\w+", text.lower())


def _multi_hot(text: bytes, vocabulary: dict[str, int]) -> np.ndarray:
    row = np.zeros(WORDS, np.float32)
    row[[vocabulary[word] for word in words_of(to_text(text)) if word in vocabulary]] = 1
    return row


def _one_hot(values: Tensor, part: Part, leading: int) -> Float[Tensor, "*n hot"]:
    """Each number of a cell as as many numbers as it can take values; one outside of these is all zeros."""
    cells = values.reshape(*values.shape[:leading], -1, part.cell)
    hot = [cells[..., index, None] == torch.arange(size, device=values.device) for index, size in enumerate(part.sizes)]
    return torch.cat(hot, dim=-1).flatten(leading).float()
