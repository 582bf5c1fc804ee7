"""Text as a data set: documents of UTF-8, some of them held out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.strings import Strings
from trajectories.types import Provenance, Spec

LINE = 64  # tokens of a "step" of text: a sequence has as many times as many as the model's context has steps


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """D documents, for a model that learns what comes next. Build one with `Text.of`.

    Documents that are held out are never learned from; by them a model is measured.
    """

    origin: Provenance
    documents: Strings
    held_out: np.ndarray  # (D,) bool

    @classmethod
    def of(cls, origin: Provenance, documents: Strings, held_out: np.ndarray) -> "Text":
        """Documents as a data set; empty ones are left out.

        Raises:
            DatasetError: nothing is left to learn from, or nothing to measure by.
        """
        full = documents.sizes > 0
        if not full.all():
            documents = Strings.of(documents[place] for place in np.flatnonzero(full))
        held_out = np.asarray(held_out, bool)[full]
        if not held_out.any() or held_out.all():
            raise DatasetError(
                f"{origin.name} has {int((~held_out).sum())} documents to learn from and {int(held_out.sum())} to "
                f"measure by: give at least two documents, or a file of at least two lines."
            )
        return cls(origin, documents, held_out)

    def __len__(self) -> int:
        """Bytes to learn from."""
        return int(self.documents.sizes[~self.held_out].sum())

    def __repr__(self) -> str:
        return f"Text({self.origin.name} from {self.origin.source}: {len(self.documents)} documents, {len(self)} bytes)"

    @property
    def spec(self) -> Spec:
        """A task that is answered: no environment, and nothing to observe but what was written before."""
        return Spec(self.origin.name, (), (), max_episode_steps=1, kind="text")

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """What is stored and hashed."""
        return {"documents": self.documents.data, "starts": self.documents.starts, "held_out": self.held_out}

    @classmethod
    def from_columns(cls, origin: Provenance, columns: dict[str, Any]) -> "Text":
        """What `columns` gave; they may be memory maps."""
        return cls(origin, Strings(columns["documents"], columns["starts"]), columns["held_out"])
