"""Whether a record is what its own command would give today; checked when a report is written.

numerics   the model's NUMERICS has been raised since: its numbers were changed on purpose
settings   what the command leaves to defaults and presets is something else today
data       what the command would record today is something else: other policies, another number of steps
changes    it was made from code that was not committed

Settings are compared as data, with those of the preset, which are made once for each model and data set. Nothing that
a record says is run: no command line is parsed, no environment is made, no module is imported. Where something cannot
be known here (another's model or environment), it is not checked.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from report.commands import options, words
from report.migration import differences
from report.parsing import build
from report.store import Record, plain
from sources.experts.interface import has_expert, version
from sources.experts.recipes import available, policies_digest
from sources.request import REROLL_STEPS
from training.registry import MODELS, Entry, find
from training.settings import preset_settings
from trajectories.catalog import dataset, dataset_names, environment, environment_names
from trajectories.errors import UserError
from trajectories.types import Spec


def stale(records: Sequence[Record]) -> dict[str, list[str]]:
    """Of each stale record by name: why."""
    found = {}
    for record in records:
        why = [*changed_numbers(record), *changed_settings(record), *changed_data(record)]
        if record.dirty:
            why.append("made from code that was not committed")
        if why:
            found[record.name] = why
    return found


def changed_numbers(record: Record) -> Iterator[str]:
    """Whether the model's numbers were changed on purpose since."""
    entry = entry_of(record)
    if entry is not None and record.numerics < (today := entry.model.NUMERICS):
        yield f"the numbers of {record.model} were changed since: NUMERICS {record.numerics}, today {today}"


def changed_settings(record: Record) -> Iterator[str]:
    """Settings that the record's command leaves open and that would be others today, as "updates 3000"."""
    entry = entry_of(record)
    if entry is None or not record.command:
        return
    given = options(words(record.command))
    preset = (given.get("preset") or ["default"])[0]
    try:
        today = usual(entry, record.tasks, preset)
    except UserError as error:
        yield f"its command means nothing today ({error})"
        return
    if "start" in given:  # the model's settings are those of the run that it began with
        today = {"run": today["run"]}
    for part, settings in today.items():
        if gone := sorted(set(record.config.get(part, {})) - set(settings)):
            yield f"it was made with settings that there are no more: {', '.join(gone)}"
    names = {name.removeprefix("no-").replace("-", "_") for name in given}
    if moved := list(differences(today, record.config, names)):
        yield f"its command now means {', '.join(moved)}"


def changed_data(record: Record) -> Iterator[str]:
    """Whether data that are recorded here would be recorded otherwise today."""
    if record.dataset not in dataset_names() or record.source not in ("collected", "reroll"):
        return
    row, data = dataset(record.dataset), record.data
    requested = record.config.get("run", {}).get("steps")
    steps = row.collected_steps if record.source == "collected" else REROLL_STEPS
    expert = data.get("expert")
    by_episodes = expert is not None and row.collected_episodes
    if requested is None and steps and not by_episodes and data.get("steps") not in (None, steps):
        yield f"its data hold {data['steps']:,} steps, and today's {steps:,}"
    if by_episodes and data.get("episodes") not in (None, row.collected_episodes):
        yield f"its data hold {data['episodes']:,} episodes, and today's {row.collected_episodes:,}"
    if expert is not None and has_expert(row.environment) and expert != version(row.environment):
        yield f"its data were recorded by {expert}, and today's expert is {version(row.environment)}"
    ours = record.source == "collected" and row.format == "d4rl" and available(row.env, row.quality)
    if ours and data.get("policy") not in (None, _policies(row.env, row.quality)):
        yield "its data were recorded by other policies than today's"


def entry_of(record: Record) -> Entry | None:
    """The model as it is for the record's environment; None if that is not of this repository.

    What the environment looks like stands in the record, or in the catalog; it is not made to find out.
    """
    if record.model not in MODELS:
        return None
    if len(record.tasks) > 1:
        return _entry(record.model)
    try:
        if record.spec:
            return _entry(record.model, build(Spec, record.spec, "spec"))
        if record.env.partition("?")[0] in environment_names():
            return _entry(record.model, environment(record.env).spec())
    except (ValueError, UserError):
        pass
    return None


_entry = cache(find)


@cache
def usual(entry: Entry, tasks: tuple[str, ...], preset: str) -> dict[str, Any]:
    """The settings that decide a result where nothing but model, data set and preset is given."""
    return plain(preset_settings(entry, tasks, preset).resolved())


@cache
def _policies(env: str, quality: str) -> str:
    return policies_digest(env, quality)
