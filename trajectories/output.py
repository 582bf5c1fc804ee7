"""Output that every terminal and log can show, whatever its encoding.

A run takes hours, and its last line holds a plus-minus sign and the corners of a table: printed to a log in ASCII or in
Windows' cp1252 these would raise UnicodeEncodeError. So would a file name that is not UTF-8.
"""

import codecs
import io
import sys
import unicodedata

SIMILAR = {"±": "+-", "—": "-", "–": "-", "†": "+", "…": "...", "×": "x"}


def print_any_text() -> None:
    """From now on standard output and error show a similar ASCII character where their encoding lacks one."""
    codecs.register_error("similar", similar)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's streams take everything
            stream.reconfigure(errors="similar")


def similar(error: UnicodeError) -> tuple[str, int]:
    """The error handler of `codecs.register_error`: the replacement, and where to go on.

    Raises:
        UnicodeError: it is not about encoding.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(similar_character, error.object[error.start : error.end])), error.end


def similar_character(character: str) -> str:
    """ASCII that looks like it: a table's lines and corners, a histogram's bars; else a question mark."""
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        return "+" if " AND " in name else "-" if name.endswith("HORIZONTAL") else "|"
    if name.endswith(" BLOCK"):
        return "#"
    return SIMILAR.get(character, "?")
