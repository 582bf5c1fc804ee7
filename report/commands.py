"""Commands in records: how their words are read, and what may be shown as a command at all."""

import re
import shlex
from collections.abc import Sequence

PLAIN = re.compile(r"[\w@%+=:,./ -]*", re.ASCII)  # a command in which nothing is quoted


def words(command: str) -> list[str]:
    """The words of a command, as a shell splits them; where there is nothing to unquote, sooner.

    Raises:
        ValueError: a quotation mark has no other.
    """
    return command.split() if PLAIN.fullmatch(command) else shlex.split(command)


def is_command(text: str, program: str) -> bool:
    """Whether a text is a command of this program and nothing more: no sign in it means anything to a shell."""
    try:
        return text.startswith(f"{program} ") and shlex.join(words(text)) == text
    except ValueError:  # a quotation mark without its other
        return False


def options(words: Sequence[str]) -> dict[str, list[str]]:
    """Words of a command line by option: --name value ..., or --name=value."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            found[name] = [value] if value else []
        elif found:
            found[next(reversed(found))].append(word)
    return found
