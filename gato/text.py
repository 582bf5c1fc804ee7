"""Text as tokens: SentencePiece, at most 32,000 subwords, ids [0, 32000).

A model file may be given; one can be trained here on a text; and `shakespeare.model` beside this file (2,000 pieces,
trained with `train` on Tiny Shakespeare, public domain) lets text work out of the box. Characters that the
pieces do not know fall back to their bytes, so every text comes back as it went in.
"""

import io
from pathlib import Path

import sentencepiece

from gato.tokens import TEXT_IDS
from trajectories.atomic import atomic_file
from trajectories.errors import UserError

SHIPPED = Path(__file__).with_name("shakespeare.model")


class Text:
    """A SentencePiece model: strings to ids and back."""

    def __init__(self, path: Path = SHIPPED) -> None:
        """Read a model file.

        Raises:
            UserError: the file is missing, is no SentencePiece model, or has more than 32,000 pieces.
        """
        if not path.is_file():
            raise UserError(f"The text model {path} does not exist: give a SentencePiece .model file, or train one.")
        try:
            self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (RuntimeError, OSError) as error:
            raise UserError(f"{path} is no SentencePiece model ({error}): train one with gato.text.train.") from error
        if len(self.pieces) > TEXT_IDS:
            raise UserError(
                f"{path} has {len(self.pieces)} pieces, but Gato's table keeps {TEXT_IDS}: train a smaller."
            )

    def encode(self, text: str) -> list[int]:
        return self.pieces.encode(text)

    def decode(self, ids: list[int]) -> str:
        return self.pieces.decode(ids)


def train(source: Path, target: Path, size: int = TEXT_IDS) -> Text:
    """Fit at most `size` pieces to the text file `source` and keep the model at `target`.

    Raises:
        UserError: the text is missing or too short for any model.
    """
    if not source.is_file():
        raise UserError(f"The text {source} does not exist: give a plain text file.")
    model = io.BytesIO()  # a stream, because given file names would be written into the model
    try:
        with source.open(encoding="utf-8") as lines:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines,
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
    except (RuntimeError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"No text model could be trained on {source} ({error}): give a longer plain text.") from error
    with atomic_file(target) as fresh:
        fresh.write_bytes(model.getvalue())
    return Text(target)
