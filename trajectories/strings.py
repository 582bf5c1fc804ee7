"""Many texts as two columns: their bytes, one behind another, and where each begins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Strings:
    """D texts of N bytes in all, which may be a memory map: a text is decoded when it is used."""

    data: np.ndarray  # (N,) uint8, UTF-8
    starts: np.ndarray  # (D + 1,) int64; the last entry is N

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Strings":
        """Texts as columns; what is no Unicode, as half of a pair of surrogates, becomes a question mark."""
        encoded = [text.encode(errors="replace") for text in texts]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: int | np.integer) -> str:
        return self.bytes(place).decode()

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def bytes(self, place: int | np.integer) -> bytes:
        """A text as it is stored."""
        first, end = self.starts[place : place + 2]
        return self.data[first:end].tobytes()

    @property
    def sizes(self) -> np.ndarray:
        """Bytes of each text, (D,)."""
        return np.diff(self.starts)
