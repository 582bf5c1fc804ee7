"""Options: a field of a configuration carries its default, its help and its limits; a `Literal` type is its choices."""

import math
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import Field, dataclass, field, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from trajectories.errors import UserError, did_you_mean

HELP, LIMITS, DIVIDES = "help", "limits", "divides"
LARGEST = int(sys.float_info.max)


@dataclass(frozen=True)
class Limits:
    """Finite numbers of at least `low`, at most `high`, `above` and `below`."""

    low: int | float = -math.inf
    high: int | float = math.inf
    above: int | float = -math.inf
    below: int | float = math.inf

    def __contains__(self, value: int | float) -> bool:
        return abs(value) <= LARGEST and self.low <= value <= self.high and self.above < value < self.below

    def __str__(self) -> str:
        if self == Limits(low=self.low) != Limits():
            return f"{self.low} or more"
        bounds = {"of at least": self.low, "above": self.above, "at most": self.high, "below": self.below}
        named = " and ".join(f"{word} {bound}" for word, bound in bounds.items() if math.isfinite(bound))
        return f"a number {named}" if named else "a finite number"


def option(default: Any, text: str, *, divides: str | None = None, **limits: int | float) -> Any:
    """A dataclass field of a configuration.

    Args:
        default: allowed even outside the limits, where it may have a meaning of its own.
        text: help, one sentence.
        divides: another option, which has to be a multiple of this one.
        limits: of a number, or of each in a tuple: low, high, above, below.
    """
    return field(default=default, metadata={HELP: text, LIMITS: Limits(**limits), DIVIDES: divides})


def check_options(owner: Any) -> None:
    """Check every option of a configuration.

    Raises:
        UserError: a number outside its limits, a word that is no choice, or a number that does not divide another.
    """
    for each in fields(owner):
        value = getattr(owner, each.name)
        if value == each.default:
            continue
        if (known := choices(each)) and value not in known:
            raise unknown_choice(each.name, value, known)
        limits = each.metadata.get(LIMITS, Limits())
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and number not in limits:
                raise UserError(f"{dashed(each.name)} is {number}: give {limits}.")
    for each in fields(owner):
        whole = each.metadata.get(DIVIDES)
        if whole and getattr(owner, whole) % getattr(owner, each.name):
            sizes = f"{dashed(whole)} is {getattr(owner, whole)}, and {dashed(each.name)} {getattr(owner, each.name)}"
            raise UserError(f"{sizes}: the first has to be a multiple of the second.")


def check_words(arguments: Sequence[str], owners: Iterable[Any]) -> None:
    """Refuse a word of a command line that is none of its option's choices, and suggest one.

    Raises:
        UserError: there is such a word.
    """
    known = {dashed(each.name): each for owner in owners for each in fields(owner) if choices(each)}
    for name, value in pairwise(word for argument in arguments for word in argument.split("=", 1)):
        if name in known and value not in choices(known[name]):
            raise unknown_choice(known[name].name, value, choices(known[name]))


def choices(each: Field) -> tuple[str, ...]:
    """The words that a field takes; none if it takes any."""
    return get_args(each.type) if get_origin(each.type) is Literal else ()


def unknown_choice(name: str, value: object, known: Sequence[str]) -> UserError:
    return UserError(f"{dashed(name)} is {value!r}: {did_you_mean(str(value), known)}")


def dashed(name: str) -> str:
    """An option as it is typed."""
    return f"--{name.replace('_', '-')}"


def as_option(value: Any, default: Any = None) -> Any:
    """A value out of a file: JSON and TOML have lists where configurations have tuples, and 1 where these have 1.0."""
    if isinstance(default, float):
        return float(value)
    return tuple(map(as_option, value)) if isinstance(value, list) else value


def fits(value: Any, default: Any) -> bool:
    """Whether a value out of a file is of the kind of an option's default; any fits where that is None."""
    if isinstance(default, float):
        return type(value) is float or (type(value) is int and abs(value) <= LARGEST)
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
    """What a text says; a grid needs the presets of every run. It must not be changed."""
    return tomllib.loads(text)
