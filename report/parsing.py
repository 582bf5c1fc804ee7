"""Untrusted JSON -> dataclasses, with every value checked.

What is read is data: nothing in it is ever imported, executed, or handed to a program. Whatever does not fit raises
ValueError with the place, the value and what was expected; the caller adds the file.
"""

import json
import types
from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn, Union, get_args, get_origin

from report.migration import FIELDS

LARGEST = 1 << 25  # bytes of a file: some hundred thousand episodes
LONGEST = 4_000  # characters of a text
DEEPEST = 16  # dictionaries and lists in each other
GREATEST, WHOLE = 1e30, 1 << 63  # of any number, and of a whole one: what is computed from them is finite


def read_json(path: Path) -> Any:
    """What a file holds.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is empty, too large, or not JSON; JSON has neither NaN nor infinity.
    """
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("it is no file")
    if size > LARGEST:
        raise ValueError(f"it has {size:,} bytes, more than {LARGEST:,}")
    if not size:
        raise ValueError("it is empty")
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON from line {error.lineno} on") from None
    except UnicodeDecodeError:
        raise ValueError("it is not JSON, but bytes that are no text") from None
    except RecursionError:
        raise ValueError("its lists lie too deep in each other") from None


def build(kind: type, row: Any, where: str) -> Any:
    """A dataclass from JSON, every field checked against its type; a field may have an old name (migration.py)."""
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not an object")
    if FIELDS.keys() & row.keys():
        row = {FIELDS.get(name, name): value for name, value in row.items()}
    known = {each.name: each for each in fields(kind)}
    for name in row:
        if name not in known:
            raise ValueError(f"{where}.{name:.40} is unknown")
    values = {}
    for name, each in known.items():
        if name in row:
            values[name] = _fit(each.type, row[name], f"{where}.{name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{where}.{name} is missing")
    return kind(**values)


def require(rules: Iterable[tuple[str, Any, object, str]]) -> None:
    """Refuse the first value that is wrong, of (its place, the value, whether it is right, what is right)."""
    for where, value, right, expected in rules:
        if not right:
            raise ValueError(f"{where} is {shown(value)}, and not {expected}")


def shown(value: Any) -> str:
    """A value in an error message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fit(kind: Any, value: Any, where: str) -> Any:
    """`value` as `kind`: a dataclass, a tuple or dict of them, a number, a string, or None where allowed."""
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _fit(get_args(kind)[0], value, where)
    if is_dataclass(kind):
        return build(kind, value, where)  # type: ignore[arg-type]
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        numbers = set(map(type, value)) <= ({int, float} if inner is float else {int} if inner is int else set())
        if numbers and all(-WHOLE <= item <= WHOLE for item in value):
            return tuple(map(inner, value))  # thousands of numbers at once
        return tuple(_fit(inner, item, where) for item in value)
    if get_origin(kind) is dict and isinstance(value, dict):
        inner = get_args(kind)[1]
        return {_fit(str, key, where): _fit(inner, item, f"{where}.{key:.40}") for key, item in value.items()}
    if kind is Any:
        return _free(value, where, DEEPEST)
    if type(value) is kind and kind in (int, str, bool):
        return _free(value, where, DEEPEST)
    if kind is float and type(value) in (int, float):
        return float(_free(value, where, DEEPEST))
    raise ValueError(f"{where} is {shown(value)}, which does not fit")


def _free(value: Any, where: str, deep: int) -> Any:
    """Any value of JSON's, if its numbers and texts are of a sensible size."""
    if isinstance(value, str):
        if len(value) > LONGEST or not value.isprintable():
            raise ValueError(f"{where} is {shown(value)}, and not one line of up to {LONGEST:,} characters")
    elif isinstance(value, int | float):
        most = WHOLE if isinstance(value, int) else GREATEST
        if not -most <= value <= most:
            raise ValueError(f"{where} is {shown(value)}, and not a number of at most {most:g}")
    elif isinstance(value, dict | list):
        if not deep:
            raise ValueError(f"{where} lies too deep in other objects")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _free(key, where, deep)
            _free(item, where, deep - 1)
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is no number of JSON's")
