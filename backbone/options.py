"""A configuration's field carries its default and its help, so that the command line and the page say the same."""

import tomllib
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import Any

from trajectories.errors import UserError

HELP = "help"


def option(default: Any, text: str) -> Any:
    """A dataclass field with a default and a sentence of help."""
    return field(default=default, metadata={HELP: text})


def as_option(value: Any) -> Any:
    """A value out of a file: JSON and TOML have lists where configurations have tuples."""
    return tuple(map(as_option, value)) if isinstance(value, list) else value


def fits(value: Any, default: Any) -> bool:
    """Whether a value out of a file is of the kind of an option's default; any fits where that is None."""
    if isinstance(default, float):
        return type(value) in (int, float)
    return default is None or type(as_option(value)) is type(default)


def read_tables(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a TOML file, by name.

    Raises:
        UserError: it cannot be read, or holds something else at its top.
    """
    try:
        found = _tables(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{path.name} cannot be read ({why:.200}): correct it.") from error
    for name, table in found.items():
        if not isinstance(table, dict):
            raise UserError(f"{path.name}: {name:.40} = {table!s:.40} stands in no table: put it below a [name].")
    return found


@lru_cache(maxsize=8)
def _tables(text: str) -> dict[str, Any]:
    """What a text says; a grid asks for the presets of every run. Nobody changes it."""
    return tomllib.loads(text)
