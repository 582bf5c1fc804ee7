"""What a record must be besides well typed: ranges, sizes, and parts that belong together.

A record may be a stranger's. Its words end in tables, pages and file names, its numbers in arithmetic, its command
shown to a reader who may type it: so a name is a name, a commit is hexadecimal, and a command is one of ours.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from report.commands import is_command
from report.parsing import require

if TYPE_CHECKING:
    from report.store import Evaluation, Protocol, Record

PROGRAM = "python experiments/run.py"
MOST = 100_000  # episodes of an evaluation, values of a setting
COMMIT = r"[0-9a-f]{7,64}|unknown"
MODEL = r"[A-Za-z_][A-Za-z0-9_.:-]{0,199}"  # a short name, or package.module:Class
SOURCE = r"[a-z][a-z0-9-]{0,39}"
NAME = r"[^\s.-].{0,299}"  # of a data set or an environment; its options may follow
Rule = tuple[str, Any, object, str]


def check(record: "Record") -> None:
    """Raise ValueError at the first thing that is not as a run writes it."""
    require(_words(record))
    require(_numbers(record))
    require(_settings(record))
    require(_protocol(record.protocol))
    require(_evaluations(record))


def check_evaluation(played: "Evaluation", episodes: int, where: str) -> None:
    """Raise ValueError where there is not one return and one length for each episode."""
    for name in ("returns", "lengths"):
        count = len(getattr(played, name))
        require([(f"the number of {where}.{name}", count, count == episodes, f"the {episodes} episodes'")])
    known = len(played.success)
    require([(f"the number of {where}.success", known, known in (0, episodes), f"the {episodes} episodes', or 0")])
    shortest = min(played.lengths)
    require([(f"a length of {where}", shortest, shortest >= 0, "0 or more")])


def _words(record: "Record") -> Iterator[Rule]:
    for name, pattern, expected in (
        ("model", MODEL, "a model's name"),
        ("source", SOURCE, "a source's name"),
        ("dataset", NAME, "a data set's name"),
        ("env", NAME, "an environment's name"),
        ("preset", r"[\w.-]{1,100}", "a preset's name"),
        ("family", r"[a-z][a-z0-9_]{0,39}|", "a family's name"),
        ("commit", COMMIT, "a commit in hexadecimal digits, or unknown"),
    ):
        value = getattr(record, name)
        yield f"record.{name}", value, re.fullmatch(pattern, value), expected
    command = record.command
    yield "record.command", command, not command or is_command(command, PROGRAM), f"a command of `{PROGRAM}`"
    digest = record.data.get("digest", "")
    yield "record.data.digest", digest, isinstance(digest, str), "a text"


def _numbers(record: "Record") -> Iterator[Rule]:
    least = {"seed": 0, "parameters": 0, "updates": 0, "tokens": 0, "peak_memory_mb": 0}
    least |= {"threads": 1, "processes": 1, "numerics": 1}
    for name, low in least.items():
        value = getattr(record, name)
        yield f"record.{name}", value, value >= low, f"{low} or more"
    for name, value in record.references.items():
        most = 64 if record.family == "text" else 1  # bits for a byte, or a share
        yield f"record.references.{name}", value, 0 <= value <= most, f"a number of 0 to {most}"
    for name, value in record.seconds.items():
        yield f"record.seconds.{name}", value, value >= 0, "0 or more"
    steps = record.data.get("steps", 0)
    yield "record.data.steps", steps, type(steps) is int and steps >= 0, "a number of steps"
    episodes, quantiles = record.behavior.episodes, len(record.behavior.quantiles)
    yield "record.behavior.episodes", episodes, episodes >= 0, "0 or more"
    yield "the number of record.behavior.quantiles", quantiles, quantiles <= MOST, f"at most {MOST:,}"


def _settings(record: "Record") -> Iterator[Rule]:
    for part in ("model", "run"):
        settings = record.config.get(part, {})
        yield f"record.config.{part}", settings, isinstance(settings, dict), "an object"
        for name, value in settings.items():
            yield f"record.config.{part}.{name}", value, _is_setting(value), "a setting"
    run = record.config.get("run", {})
    share = run.get("fraction_best", 1.0)
    yield "record.config.run.fraction_best", share, type(share) in (int, float) and 0 < share <= 1, "a share"
    share = run.get("fraction_of_expert", 0.0)
    yield "record.config.run.fraction_of_expert", share, type(share) in (int, float) and 0 <= share <= 1, "a share"
    count = run.get("demonstrations", 0)
    yield "record.config.run.demonstrations", count, type(count) is int and count >= 0, "a number of episodes"
    yield "record.config.run.start", run.get("start"), isinstance(run.get("start", ""), str), "a run's name"
    yield "record.config.run.source", run.get("source"), isinstance(run.get("source", ""), str), "a source's name"
    tasks = run.get("env", record.dataset)
    named = isinstance(tasks, str) or (
        isinstance(tasks, list)
        and len(set(map(str, tasks))) == len(tasks)
        and all(isinstance(task, str) and re.fullmatch(NAME, task) for task in tasks)
    )
    yield "record.config.run.env", tasks, named and (isinstance(tasks, str) or record.dataset in tasks), "data sets"


def _is_setting(value: Any) -> bool:
    """A number, a text, a truth or nothing, or a list of these."""
    if isinstance(value, list):
        return len(value) <= MOST and not any(isinstance(item, dict | list) for item in value)
    return not isinstance(value, dict)


def _protocol(protocol: "Protocol") -> Iterator[Rule]:
    episodes = protocol.episodes
    yield "record.protocol.episodes", episodes, 1 <= episodes <= MOST, f"1 to {MOST:,}"
    yield "the number of record.protocol.seeds", len(protocol.seeds), len(protocol.seeds) == episodes, "the episodes'"
    yield "a seed of record.protocol.seeds", min(protocol.seeds), min(protocol.seeds) >= 0, "0 or more"
    apart = abs(protocol.expert_score - protocol.random_score)
    yield "the span of reference scores", apart, apart > 1e-9, "above 0"


def _evaluations(record: "Record") -> Iterator[Rule]:
    targets = tuple(played.target_return for played in record.evaluations)
    right = targets == (record.protocol.target_returns or (None,))
    yield "the target returns of record.evaluations", targets, right, "the protocol's"
    for place, played in enumerate(record.evaluations):
        check_evaluation(played, record.protocol.episodes, f"record.evaluations.{place}")
