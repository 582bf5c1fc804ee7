"""Errors that the user can correct, and the suggestions for a name that does not exist."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

LIKE = 0.6  # difflib's ratio from which a name is proposed
APART = 0.15  # how much less alike than the best a name may be that is proposed beside it
SHOWN = 3  # names that are proposed
FEW = 160  # characters: the most that a list of all names may take in a sentence

LONGEST = 500  # characters of a message
GAP = " ... "


class UserError(Exception):
    """Bad input. The message is one sentence that names the culprit, the value and the next step; exit code 2.

    It stays one line of at most 500 characters, whatever a file put into it: the middle is left out, and what would
    move the cursor or break the line is shown by its code.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class DatasetError(UserError):
    """A data set cannot be used."""


class DamagedFileError(DatasetError):
    """A file is truncated or damaged. It may be the user's own, so the message never says to delete or fetch it."""

    def __init__(self, file: Path, reason: object) -> None:
        self.file, self.reason = file, (str(reason).splitlines() or [type(reason).__name__])[0].rstrip(".")
        super().__init__(f"{file} is truncated or damaged ({self.reason}): get a whole copy of it.")


def one_line(text: str, longest: int = LONGEST) -> str:
    """A text that a stranger may have written, on one line of at most so many characters."""
    line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    end = 2 * longest // 5
    return line if len(line) <= longest else line[: longest - end - len(GAP)] + GAP + line[-end:]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a sentence about a name that does not exist: the nearest known ones, or else what there is.

    Case, underscores and a version ("-v2") make no difference to how near a name is; of one name's versions the one
    in `name` is proposed, or else all.

    Args:
        otherwise: what to say where none is near and a list of all would be long.
    """
    word, version = _plain(name)
    names = {one: _plain(one) for one in sorted(set(known), key=lambda one: (one.count("-v"), one))}
    words = sorted({each for each, _ in names.values()})
    near = difflib.get_close_matches(word, words, n=SHOWN, cutoff=LIKE)
    best = _likeness(word, near[0]) if near else 0.0
    close: list[str] = []
    for each in near:
        if _likeness(word, each) > best - APART and (best < 1 or each == word):
            versions = [one for one, plain in names.items() if plain[0] == each]
            same = [one for one in versions if names[one][1] == version]
            close += same or (versions if each == word else versions[:1])
    if close:
        return f"did you mean {' or '.join(close[:SHOWN])}?"
    everything = ", ".join(names)
    return f"choose one of {everything}." if everything and len(everything) <= FEW else otherwise or "see --help."


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _plain(name: str) -> tuple[str, str]:
    """A name as it is compared, and its version."""
    word, version = re.fullmatch(r"(.*?)(-v\d+)?", name.strip("-").casefold(), re.DOTALL).groups()  # type: ignore[union-attr]
    return word.replace("_", "-"), version or ""
