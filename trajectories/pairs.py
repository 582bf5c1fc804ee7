"""Pictures with captions, or with questions and answers: what is answered, not played."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.strings import Strings
from trajectories.types import Provenance, Spec

EPISODE = 5  # pairs that make an episode (Reed et al. 2022, arXiv:2205.06175, appendix A on vision and language)


@dataclass(frozen=True, eq=False, repr=False)
class Pairs:
    """P pairs of a picture and an answer: its caption, or what a question about it is answered with.

    U pictures are held once each, however many pairs show them. A picture that is held out is held out in all its
    pairs. Build one with `Pairs.of`.

    Shapes: H high, W wide; questions and answers are numbers of texts.
    """

    origin: Provenance
    images: np.ndarray  # (U, H, W, 3) uint8
    which: np.ndarray  # (P,) int64, into `images`
    questions: np.ndarray  # (P,) int64, into `texts`; an empty text where there is no question
    answers: np.ndarray  # (P,) int64, into `texts`
    texts: Strings
    held_out: np.ndarray  # (P,) bool

    @classmethod
    def of(
        cls,
        origin: Provenance,
        images: np.ndarray,
        which: np.ndarray,
        questions: list[str],
        answers: list[str],
        held_out: np.ndarray,
    ) -> "Pairs":
        """Pairs as columns; each distinct text is kept once.

        Raises:
            DatasetError: nothing is left to learn from, or nothing to measure by.
        """
        held_out = np.asarray(held_out, bool)
        if not held_out.any() or held_out.all():
            raise DatasetError(
                f"{origin.name} has {int((~held_out).sum())} pairs to learn from and {int(held_out.sum())} to measure "
                f"by: give at least ten pictures, or files of both parts."
            )
        known = {text: place for place, text in enumerate(dict.fromkeys([*questions, *answers]))}
        of_questions, of_answers = (
            np.array([known[text] for text in texts], np.int64) for texts in (questions, answers)
        )
        return cls(origin, images, np.asarray(which, np.int64), of_questions, of_answers, Strings.of(known), held_out)

    def __len__(self) -> int:
        """Pairs to learn from."""
        return int((~self.held_out).sum())

    def __repr__(self) -> str:
        return (
            f"Pairs({self.origin.name} from {self.origin.source}: {len(self.which)} pairs, {len(self.images)} pictures)"
        )

    @property
    def spec(self) -> Spec:
        """A task that is answered: it shows an image, and has no environment."""
        return Spec(
            self.origin.name,
            tuple(self.images.shape[1:]),
            (),
            max_episode_steps=EPISODE,
            observation_dtype="uint8",
            kind="pairs",
        )

    @property
    def has_questions(self) -> bool:
        """Whether there are questions; else the answers are captions."""
        return bool(self.texts.sizes[self.questions].any())

    @cached_property
    def learned(self) -> np.ndarray:
        """The pairs to learn from."""
        return np.flatnonzero(~self.held_out)

    @cached_property
    def measured(self) -> np.ndarray:
        """The pairs to measure by."""
        return np.flatnonzero(self.held_out)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """What is stored and hashed."""
        columns = {name: getattr(self, name) for name in ("images", "which", "questions", "answers", "held_out")}
        return columns | {"texts": self.texts.data, "text_starts": self.texts.starts}

    @classmethod
    def from_columns(cls, origin: Provenance, columns: dict[str, Any]) -> "Pairs":
        """What `columns` gave; they may be memory maps."""
        return cls(origin, texts=Strings(columns.pop("texts"), columns.pop("text_starts")), **columns)
