"""A configuration's field carries its default and its help, so that the command line and the page say the same."""

from dataclasses import field
from typing import Any

HELP = "help"


def option(default: Any, text: str) -> Any:
    """A dataclass field with a default and a sentence of help."""
    return field(default=default, metadata={HELP: text})
