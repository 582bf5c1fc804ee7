"""The runs that a full table would have and that are not there, each with the command that makes it."""

import shlex
from collections import defaultdict
from collections.abc import Sequence

from report.commands import options
from report.grid import Row, command
from report.score_families import is_answered


def missing(table: Sequence[Row], columns: Sequence[str]) -> list[tuple[Row, str, int, str]]:
    """(row, model, seed, command) for each run that a full table would have: every model at every seed of its row.

    A mixture is missed only in rows that have another seed of it: no row is bound to be part of one. Likewise a model
    where a task is answered, which most models cannot, and where something was done to the data, as to those of 10% BC.
    A model that learns nothing has one seed.
    """
    absent, still = [], unlearned(table)
    for row in table:
        for model in columns:
            if (" " in model or is_answered(row.first) or row.treatment) and model not in row.cells:
                continue
            have = row.cells[model].seeds if model in row.cells else ()
            needed = row.seeds[: not have] if model in still else row.seeds
            lines = {seed: _command(row, model, seed, model in still) for seed in needed if seed not in have}
            absent += [(row, model, seed, line) for seed, line in lines.items()]
    return absent


def unlearned(table: Sequence[Row]) -> set[str]:
    """The models that were run without an update, everywhere: what a seed decides is nothing to them."""
    updates: dict[str, int] = defaultdict(int)
    for record in (record for row in table for cell in row.all_cells for record in cell.records):
        updates[record.column] += record.updates
    return {column for column, total in updates.items() if not total}


def _command(row: Row, model: str, seed: int, still: bool) -> str:
    """A neighbor's command: with all its options if it is of the same model, else with those that models share.

    Args:
        still: whether the model learns nothing, and so has no use for options of learning.
    """
    record = (row.cells.get(model) or next(iter(row.cells.values()))).first
    words = shlex.split(command(record))
    program, given = words[:2], options(words[2:])
    if record.column != model:
        shared = set(record.config.get("run", {})) | {"model", "env", "source", "seed"}
        shared -= {"task_weights", "evaluate_every", "evaluate_episodes"}
        shared -= {"updates", "precision", "target_returns"} if still else set()
        given = {name: value for name, value in given.items() if name.replace("-", "_") in shared}
        given |= {"model": [model], "env": [record.dataset]}
    given |= {"seed": [str(seed)]}
    return shlex.join([*program, *(word for name, value in given.items() for word in (f"--{name}", *value))])
