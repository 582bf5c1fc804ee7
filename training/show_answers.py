"""What a trained model answers: pictures with its captions or answers on one sheet, or how it goes on with a text."""

from pathlib import Path

import numpy as np

from backbone.interface import Answers, Model
from report.store import Record
from sources import contact_sheet
from sources.loading import Request, load
from training import answers
from trajectories.errors import UserError
from trajectories.pairs import Pairs
from trajectories.text import Text

SHOWN = 24  # pictures of a sheet
DOCUMENTS = 3
BEGINNING, TOKENS = 300, 80  # characters of a document that are given, and tokens that are added


def show_answers(record: Record, model: Model, first: int, count: int, sheet: Path, path: Path | None = None) -> None:
    """Print what a run's model answers about what is held out, in the order of the evaluation.

    Args:
        first, count: which pictures or documents.
        sheet: the file of the pictures.
        path: where they lie, if they are the user's own.

    Raises:
        UserError: the data are not here, or are others than the run's.
    """
    assert isinstance(model, Answers)
    source = "auto" if path else record.source
    if source == "file":
        raise UserError(f"{record.dataset} is data of your own: name their folder with --path.")
    data: Pairs | Text = load(Request(record.dataset, source, path))
    if data.origin.digest != record.digest:
        raise UserError(f"{record.dataset} holds other data than this run has learned from: run its command again.")
    print(f"{record.column} on {record.dataset}: {record.protocol.environment} of the part that is held out")
    if isinstance(data, Text):
        print_documents(model, data, first, min(count, DOCUMENTS))
    else:
        draw_pictures(model, data, first, count, sheet)


def draw_pictures(model: Answers, data: Pairs, first: int, count: int, sheet: Path) -> None:
    """One pair of each picture, with the model's answer beside the right one."""
    pairs, picture = answers.measured(data, first + count)
    _, places = np.unique(picture, return_index=True)
    pairs = pairs[places[first:]]
    if not len(pairs):
        raise UserError(f"--seed is {first}, but {data.origin.name} has {len(places)} pictures: give a lower number.")
    questions = [data.texts[place] for place in data.questions[pairs]]
    images, right = data.images[data.which[pairs]], [data.texts[place] for place in data.answers[pairs]]
    own = model.answer(data.origin.name, images, questions)
    lines = []
    for number, (question, ours, theirs) in enumerate(zip(questions, own, right, strict=True), first):
        lines.append("\n".join([*filter(None, [question]), f"> {ours}", *([] if ours == theirs else [f"({theirs})"])]))
        print(f"picture {number}: {question}{' ' * bool(question)}> {ours}" + f" ({theirs})" * (ours != theirs))
    contact_sheet.draw(images, lines, sheet, "--sheet")
    print(f"sheet   {sheet}: what the model answers behind >, and in brackets the right answer where it is another")


def print_documents(model: Answers, data: Text, first: int, count: int) -> None:
    """How documents begin, and how the model goes on."""
    for place in answers.documents(data, first + count)[first:]:
        given = data.documents.bytes(place)[:BEGINNING].decode(errors="ignore")
        print(f"\ndocument {place}\n{given}>>> {model.go_on(given, TOKENS, int(place))}")
