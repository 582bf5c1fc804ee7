"""What `data.py show` prints of pairs and texts, and draws of pairs."""

from pathlib import Path

import numpy as np

from sources import contact_sheet
from trajectories.pairs import Pairs
from trajectories.text import Text

SHOWN = 24  # pictures of a contact sheet
FREQUENT = 5  # answers that are listed
BEGINNING = 300  # characters of a document


def print_summary(data: Pairs | Text) -> None:
    """How much there is of both parts, and what it looks like."""
    print_pairs(data) if isinstance(data, Pairs) else print_text(data)


def print_pairs(data: Pairs) -> None:
    """Sizes of both parts, and the most frequent answers of what is measured."""
    answers, counts = np.unique(data.answers[data.measured], return_counts=True)
    order = np.argsort(counts, kind="stable")[::-1]
    words = [len(data.texts[place].split()) for place in answers]
    frequent = (f"{data.texts[answers[place]]} {counts[place] / counts.sum():.1%}" for place in order[:FREQUENT])
    lines = [
        ("pictures", f"{len(data.images):,} of {data.images.shape[2]}x{data.images.shape[1]}"),
        ("to learn", f"{len(data.learned):,} pairs"),
        ("to measure", f"{len(data.measured):,} pairs, {len(answers):,} distinct answers"),
        ("words", f"{np.mean(words):.1f} in an answer, at most {max(words)}"),
        ("frequent", ", ".join(frequent)),
        ("sha256", data.origin.digest),
    ]
    for name, text in lines:
        print(f"{name:<10} {text}")


def draw(data: Pairs, file: Path) -> None:
    """A contact sheet of pairs to learn from, drawn at random but the same every time.

    Raises:
        UserError: the file's name does not end in .png, or it cannot be written.
    """
    count = min(SHOWN, len(data.learned))
    places = np.random.default_rng(0).choice(data.learned, count, replace=False)
    captions = [f"{data.texts[data.questions[place]]}\n{data.texts[data.answers[place]]}" for place in places]
    contact_sheet.draw(data.images[data.which[places]], captions, file)


def print_text(data: Text) -> None:
    """Sizes of both parts, and how the first document of each begins."""
    sizes = data.documents.sizes
    for name, part in (("to learn", ~data.held_out), ("to measure", data.held_out)):
        print(f"{name:<10} {sizes[part].sum():,} bytes in {part.sum():,} documents, the longest {sizes[part].max():,}")
    print(f"{'sha256':<10} {data.origin.digest}")
    for name, part in (("learned", ~data.held_out), ("held out", data.held_out)):
        first = int(np.argmax(part))
        beginning = data.documents.bytes(first)[:BEGINNING].decode(errors="ignore").strip()
        print(f"\nThe first document that is {name} begins:\n{beginning}")
