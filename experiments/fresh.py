"""Whether a record is what the code and the settings of today would give. Asked when a report is written.

code           a file that decides this model's numbers differs from the record's commit, or differed when it ran
configuration  the record's own command now means other settings: a default or a preset has changed
Where it cannot be known (no git, no such commit), nothing is said of it. Nor is anything of the data: other content is
another run, and its hash stands in the record.
"""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.provenance import ROOT
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
    """Python files behind a model's numbers that differ between that commit and now."""
    folder = MODELS[model].partition(".")[0] if model in MODELS else "."
    command = ["git", "diff", "--name-only", commit, "--", *SHARED, folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [name for name in done.stdout.split() if name.endswith((".py", ".toml"))] if done.returncode == 0 else []


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
