"""A configuration's field carries its default and its help, so that the command line and the page say the same."""

from dataclasses import field
from typing import Any

HELP = "help"


def option(default: Any, text: str) -> Any:
    """A dataclass field with a default and a sentence of help."""
    return field(default=default, metadata={HELP: text})


def as_option(value: Any) -> Any:
    """A value out of a file: JSON and TOML have lists where configurations have tuples."""
    return tuple(map(as_option, value)) if isinstance(value, list) else value
