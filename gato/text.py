"""Text as tokens: SentencePiece, at most 32,000 subwords, ids [0, 32000).

A model file may be given; one can be trained here on a text; and `shakespeare.model` beside this file (2,000 pieces,
trained with `train` on Tiny Shakespeare, public domain) lets text work out of the box. Characters that the
pieces do not know fall back to their bytes, so every text comes back as it went in.
"""

import hashlib
import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import sentencepiece

from gato.tokens import TEXT_IDS
from trajectories.atomic import atomic_file
from trajectories.errors import UserError

SHIPPED = Path(__file__).with_name("shakespeare.model")
SHIPPED_PIECES = 2000
LONGEST = 1000  # characters of a line that pieces are fitted to: SentencePiece leaves out lines above 4,192 bytes


class Text:
    """A SentencePiece model: strings to ids and back."""

    def __init__(self, path: Path = SHIPPED, content: bytes | None = None) -> None:
        """Read a model file, or the content of one, which `path` then only names.

        Raises:
            UserError: the file is missing, is no SentencePiece model, or has more than 32,000 pieces.
        """
        if content is None and not path.is_file():
            raise UserError(f"The text model {path} does not exist: give a SentencePiece .model file, or train one.")
        try:
            self.content = path.read_bytes() if content is None else content
            self.pieces = sentencepiece.SentencePieceProcessor(model_proto=self.content)
        except (RuntimeError, OSError) as error:
            raise UserError(f"{path} is no SentencePiece model ({error}): train one with gato.text.train.") from error
        if len(self.pieces) > TEXT_IDS:
            raise UserError(
                f"{path} has {len(self.pieces)} pieces, but Gato's table keeps {TEXT_IDS}: train a smaller."
            )

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def digest(self) -> str:
        """sha256 of the model."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def begin(self) -> int:
        """The id with which a text begins."""
        return int(self.pieces.bos_id())

    @property
    def end(self) -> int:
        """The id that ends an answer."""
        return int(self.pieces.eos_id())

    def encode(self, text: str) -> list[int]:
        return self.pieces.encode(text)

    def decode(self, ids: list[int]) -> str:
        return self.pieces.decode(ids)


@cache
def shipped() -> Text:
    """The pieces that lie beside this file."""
    return Text()


def train(source: Path, target: Path, size: int = TEXT_IDS) -> Text:
    """Fit at most `size` pieces to the text file `source` and keep the model at `target`.

    Raises:
        UserError: the text is missing or too short for any model.
    """
    if not source.is_file():
        raise UserError(f"The text {source} does not exist: give a plain text file.")
    try:
        with source.open(encoding="utf-8") as lines:
            text = fit(lines, size, str(source))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"No text model could be trained on {source} ({error}): give a longer plain text.") from error
    with atomic_file(target) as fresh:
        fresh.write_bytes(text.content)
    return Text(target)


def fit(lines: Iterable[str], size: int, source: str) -> Text:
    """At most `size` pieces fitted to lines of text; the same lines give the same pieces.

    Raises:
        UserError: there is too little text for any model.
    """
    model = io.BytesIO()  # a stream, because given file names would be written into the model
    parts = (line[first : first + LONGEST] for line in lines for first in range(0, len(line), LONGEST))
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=parts,
            model_writer=model,
            vocab_size=min(size, TEXT_IDS),
            model_type="bpe",
            hard_vocab_limit=False,  # a short text gives fewer pieces rather than an error
            byte_fallback=True,
            normalization_rule_name="identity",  # what comes back is what went in, spaces and all
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(f"No text model could be trained on {source} ({error}): give a longer plain text.") from error
    return Text(Path(source), model.getvalue())
