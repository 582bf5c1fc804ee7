"""JSON that anybody may have written -> dataclasses: what does not fit is refused with one sentence."""

import math
import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin


def build(kind: type, row: Any, where: str) -> Any:
    """A dataclass from JSON, every field checked against its type; ValueError says which one does not fit."""
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not an object")
    known = {each.name: each for each in fields(kind)}
    for name in row:
        if name not in known:
            raise ValueError(f"{where}.{name} is unknown")
    values = {}
    for name, each in known.items():
        if name in row:
            values[name] = _fit(each.type, row[name], f"{where}.{name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{where}.{name} is missing")
    return kind(**values)


def _fit(kind: Any, value: Any, where: str) -> Any:
    """`value` as `kind`: a dataclass, a tuple or dict of them, a number, a string, or None where allowed."""
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _fit(get_args(kind)[0], value, where)
    if is_dataclass(kind):
        return build(kind, value, where)  # type: ignore[arg-type]
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_fit(get_args(kind)[0], item, where) for item in value)
    if get_origin(kind) is dict and isinstance(value, dict):
        inner = get_args(kind)[1]
        return value if inner is Any else {key: _fit(inner, item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if kind in (int, str, bool) and type(value) is kind:
        return value
    raise ValueError(f"{where} is {str(value)[:40]!r}, which does not fit")
