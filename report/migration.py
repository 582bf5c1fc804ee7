"""Old names in records, and today's: what was recorded under old names is read under today's.

FIELDS    of records, prompts.json and specs themselves, old name: today's name
RENAMED   settings, old name: today's name. To rename a setting, rename its field and add a line here.
ADDED     by model ("all": every model; "run": what every run has): a setting that was added after records were made,
          and the value that means what was done before it was there

Records, the locks of unfinished runs and the cards of models are read through `current`. The folder of a run is named
by a hash of what `original` gives: each setting under its first name, and without those that were added later and mean
what was done before. So neither a new name nor a new setting moves a folder: a command still finds the run that it has
finished.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from report.commands import words

FIELDS = {"behaviour": "behavior", "normalised": "normalized", "horizon": "max_episode_steps"}
RENAMED: dict[str, str] = {
    "clip": "max_grad_norm",
    "warmup": "warmup_fraction",
    "final_learning_rate": "final_lr_fraction",
    "recency": "alibi",
    "ordered_values": "ordinal_init",
}
ADDED: dict[str, dict[str, Any]] = {
    "all": {},
    "run": {"demonstrations": 0, "start": "", "fraction_of_expert": 0.0},
    "tt": {"penalty_bin": False},
    "gato": {
        "initializer_range": 0.02,
        **{"context_tokens": 0, "tasks_per_update": 0, "loss_by": "token", "prompt_instructed": True, "pieces": 0},
        **{"core": "gato", "vectors": "tokens"},
    },
}
DECIDED_LATER = {"source", "precision", "target_returns"}  # `auto` and () in a command, resolved in a record


def current(owner: str, settings: Mapping[str, Any], names: Iterable[str] = ()) -> dict[str, Any]:
    """Settings under today's names, and what those of `names` that are missing meant before they were added.

    Args:
        owner: whose settings these are: a model, or "run".
    """
    renamed = {RENAMED.get(name, name): value for name, value in settings.items()}
    added = _added(owner)
    return renamed | {name: added[name] for name in names if name in added and name not in renamed}


def current_config(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's whole configuration under today's names."""
    parts = {"model": model, "run": "run"}
    return {**config, **{part: current(owner, config[part]) for part, owner in parts.items() if part in config}}


def current_command(command: str) -> str:
    """A command whose options have today's names."""
    return shlex.join(map(_current_word, words(command)))


def current_physics(family: str, physics: str) -> str:
    """What a task was played in: records of mixtures with a robot said d4rl of tasks that have no such bodies."""
    return physics if family in ("", "mujoco", "maze2d", "antmaze", "toy") or physics != "d4rl" else "gymnasium"


def original(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it would have been before any setting was renamed or added, for hashing."""
    first: dict[str, str] = {}
    for old, new in RENAMED.items():
        first.setdefault(new, old)
    parts = {}
    for part, owner in (("model", model), ("run", "run")):
        added = _added(owner)
        parts[part] = {
            first.get(name, name): value
            for name, value in config.get(part, {}).items()
            if name not in added or value != added[name]
        }
    return {**config, **{part: values for part, values in parts.items() if part in config}}


def _added(owner: str) -> dict[str, Any]:
    return ADDED["run"] if owner == "run" else ADDED["all"] | ADDED.get(owner, {})


def _current_word(word: str) -> str:
    """An option under today's name, --name, --no-name or --name=value; any other word as it is."""
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    negated = name.startswith("no-")
    name = name.removeprefix("no-").replace("-", "_")
    if name not in RENAMED:
        return word
    return f"--{'no-' * negated}{RENAMED[name].replace('_', '-')}{equals}{value}"


def differences(today: Mapping[str, Any], before: Mapping[str, Any], given: set[str] | None = None) -> Iterator[str]:
    """Settings that decide the result and are not the same, as "updates 3000", by what they are in `today`.

    Args:
        today: a run's settings, as `Settings.resolved` has them, in JSON's own types.
        before: those of a record, or of an unfinished run.
        given: names that need not be the same.
    """
    owners = {"model": before.get("run", {}).get("model", "all"), "run": "run"}
    for part, settings in today.items():
        known = current(owners[part], before.get(part, {}), settings)
        for name, value in settings.items():
            later = name in DECIDED_LATER and value in ("auto", [])
            if not later and name not in (given or ()) and known.get(name) != value:
                yield f"{name} {value}"
