"""Presets: budgets and settings to start from, as data (experiments/presets.toml), and the models' own."""

import fnmatch
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from backbone.options import as_option, fits, read_tables
from training.registry import MODELS, Entry
from trajectories.catalog import answered_kind, environment, environment_names
from trajectories.errors import UserError, did_you_mean

PRESETS = Path(__file__).parents[1] / "experiments" / "presets.toml"
DEFAULT = "default"  # the preset that is used when none is named
IMAGES = "images"  # in presets: all data sets that show images


def preset_tables(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The presets of a file: by preset, then by model or "all".

    Raises:
        UserError: it cannot be read, or says something that would be for no model.
    """
    tables = read_tables(path)
    for preset, parts in tables.items():
        for part, rows in parts.items():
            if part not in ("all", *MODELS) or not isinstance(rows, dict):
                where = f"[{preset}.all] or of a model's table, as [{preset}.dt]"
                raise UserError(f"{path.name}: [{preset}] has {part:.40}, which is no part of {where}: move it there.")
    return tables


def preset_names(path: Path, entry: Entry) -> list[str]:
    """The presets that a model has: `default`, tables of the file that speak of it, then its own, as Gato's sizes."""
    tables = preset_tables(path)
    in_file = [name for name, table in tables.items() if {"all", entry.name} & set(table)]
    return list(dict.fromkeys([DEFAULT, *in_file, *entry.config.presets]))


def preset_values(path: Path, preset: str, entry: Entry, env: Sequence[str]) -> dict[str, Any]:
    """What `preset` says of a model on a data set: for all models, for this one, for data sets like this one.

    Several data sets are called "one+another": "*+*" is for all mixtures. "images" is for all that show images, "pairs"
    and "text" for what is answered.

    Raises:
        UserError: the model does not have this preset.
    """
    names = preset_names(path, entry)
    if preset not in names:
        near, known = did_you_mean(preset, names), f"choose one of {', '.join(names)}."
        hint = f"{near} Else {known}" if near.startswith("did") else known
        raise UserError(f"There is no preset called {preset!r} for {entry.name}: {hint}")
    called, kind = "+".join(env), answered_kind(env[0]) or IMAGES * entry.of_images
    values: dict[str, Any] = {}
    table = preset_tables(path).get(preset, {})
    for part in ("all", entry.name):
        rows = table.get(part, {})
        values |= {key: value for key, value in rows.items() if not isinstance(value, dict)}
        for pattern, row in rows.items():
            if not isinstance(row, dict) or ("+" in pattern) != ("+" in called):
                continue
            if fnmatch.fnmatch(called, pattern) or pattern == kind:
                values |= row
    return values | dict(entry.config.presets.get(preset, {}))


def environment_values(entry: Entry) -> dict[str, Any]:
    """What the catalog's row of the model's environment says of its settings."""
    scaled = "return_scale" in {each.name for each in fields(entry.config)}
    scale = environment(entry.environment).return_scale if entry.environment in environment_names() else 0.0
    return {"return_scale": scale} if scaled and scale else {}


def fill(config: Any, values: dict[str, Any]) -> Any:
    """`config` with the values that are its own, which are taken out of `values`.

    Raises:
        UserError: a value is of another kind than the option.
    """
    own = {field.name: values.pop(field.name) for field in fields(config) if field.name in values}
    for name, value in own.items():
        usual = getattr(config, name)
        if not fits(value, usual):
            raise UserError(f"A preset has {name} = {value!s:.40}: give a value like {usual!r}.")
    return replace(config, **{key: as_option(value, getattr(config, key)) for key, value in own.items()})
