"""A model that begins with another run's weights: what it has learned there, and which settings they need.

A run is known by its folder's name, which holds a hash of its settings, so that the name says what the weights are.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

from backbone.config import BaseConfig
from backbone.options import as_option, fits
from report import migration
from report.parsing import read_json
from training.provenance import PROJECT
from training.registry import Entry
from training.run_lock import CARD, ROUNDED, STATE, WEIGHTS
from trajectories.errors import UserError

RUNS = PROJECT / "results" / "runs"


def folder_of(start: str, called: str = "--start") -> Path:
    """The folder of the run to begin with; one with its weights as they were trained before one with rounded weights.

    Args:
        called: what the command calls such a folder.

    Raises:
        UserError: there is none, or it has no weights.
    """
    places = (Path(start), RUNS / start, RUNS.parent / "again" / start)
    for name in (WEIGHTS, ROUNDED):
        for folder in places:
            if (folder / CARD).is_file() and (folder / name).is_file():
                return folder.resolve()
    if any((folder / STATE).is_file() for folder in places):
        raise UserError(f"{called} {start}: this run is not finished: run its command again, and it goes on.")
    raise UserError(f"{called} {start}: there are no weights of such a run: give the folder of a finished run.")


def started_config(entry: Entry, start: str) -> BaseConfig:
    """The model's settings as the run had them.

    Raises:
        UserError: there is no such run, it is another model's, or its card is damaged.
    """
    folder = folder_of(start)
    try:
        card = read_json(folder / CARD)
        if card["model"] != entry.name:
            raise UserError(f"--start {start} is a run of {card['model']}, and not of {entry.name}: choose another.")
        return config_of(card, entry)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{folder / CARD}: damaged or of another version ({error}): train the run again.") from error


def config_of(card: Any, entry: Entry) -> BaseConfig:
    """The settings that a model's card holds, checked like a command's.

    Raises:
        ValueError: the model has no such setting, or it cannot be that.
    """
    defaults = {field.name: field.default for field in fields(entry.config)}
    settings = migration.current(entry.name, dict(card["config"]), set(defaults))
    for name, value in settings.items():
        if name not in defaults or not fits(value, defaults[name]):
            raise ValueError(f"it has no setting {name} that can be {value}")
    return entry.config(**{name: as_option(value, defaults[name]) for name, value in settings.items()})
