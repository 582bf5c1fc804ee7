"""Whether a record is what the code and the settings of today would give. Asked when a report is written.

code           a file that decides this model's numbers says something else than at the record's commit, or was changed
               when it ran; comments, documentation and layout say nothing
configuration  the record's own command now means other settings: a default or a preset has changed
Where it cannot be known (no git, no such commit), nothing is said of it. Nor is anything of the data: other content is
another run, and its hash stands in the record.
"""

import ast
import shlex
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from experiments import provenance
from experiments.registry import MODELS
from experiments.settings import parse
from results.store import Record, config_hash, plain
from trajectories.errors import UserError

SHARED = (
    "trajectories", "environments", "backbone", "experiments/run.py", "experiments/train.py", "experiments/evaluate.py",
)  # fmt: skip
DECIDED_LATER = {"source", "precision", "target_returns"}  # `auto` and () in a command, resolved in a record


def stale(records: Sequence[Record]) -> dict[str, list[str]]:
    """Of each stale record by name: why."""
    changed: dict[tuple[str, str], list[str]] = {}
    found = {}
    for record in records:
        key = (record.commit, record.model)
        if key not in changed:
            changed[key] = changed_files(*key)
        why = []
        if changed[key]:
            first = changed[key][0] + (f" and {len(changed[key]) - 1} more" if len(changed[key]) > 1 else "")
            why.append(f"code has changed since: {first}")
        if record.dirty:
            why.append("made from code that was not committed")
        if moved := changed_settings(record):
            why.append(f"its command now means {', '.join(moved)}")
        if why:
            found[record.name] = why
    return found


def changed_files(commit: str, model: str) -> list[str]:
    """Files behind a model's numbers that say something else now than at that commit."""
    folder = MODELS[model].partition(".")[0] if model in MODELS else "."
    try:
        touched = provenance.git("diff", "--name-only", commit, "--", *SHARED, folder).split()
    except (OSError, subprocess.CalledProcessError):
        return []
    code = [name for name in touched if name.endswith((".py", ".toml"))]
    return [name for name in code if meaning(name, commit) != meaning(name)]


@cache
def meaning(name: str, commit: str = "") -> object:
    """What a file tells the machine: settings, or code without comments, documentation and layout; None without a file.

    Args:
        commit: as it was then; else as it is now.
    """
    try:
        text = (
            provenance.git("show", f"{commit}:{name}")
            if commit
            else (provenance.ROOT / name).read_text(encoding="utf-8")
        )
    except (subprocess.CalledProcessError, FileNotFoundError):
        return None
    return tomllib.loads(text) if name.endswith(".toml") else ast.dump(Undocumented().visit(ast.parse(text)))


class Undocumented(ast.NodeTransformer):
    """Drops strings that stand alone: the documentation of modules, classes, functions and fields."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def changed_settings(record: Record) -> list[str]:
    """Settings that the record's command would decide otherwise today, as "updates 3000"."""
    if not record.command:
        return []
    try:
        today = parse(shlex.split(record.command)[2:]).resolved()
    except (UserError, SystemExit) as error:
        return [f"nothing ({error})"]
    return differences(today, record.config)


def differences(today: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Settings that decide the result and are not the same, as "updates 3000", by what they are in `today`."""
    moved = []
    for part, settings in plain(today).items():
        known = before.get(part, {})
        for name, value in settings.items():
            if name in DECIDED_LATER and value in ("auto", []):
                continue
            if config_hash({"": known.get(name)}) != config_hash({"": value}):
                moved.append(f"{name} {value}")
    return moved
