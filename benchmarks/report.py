"""A report of many records: made-up runs of three models on robots' data sets, as a laboratory's year leaves them.

Peer     the plain ways: each record's command parsed to compare its settings, every pair of two models' runs compared
         in each of the bootstrap's draws
Records  of 30 data sets' names, with curves; scores are noise

    python -m benchmarks.report
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.timing import seconds
from report import statistics, store
from report.curve import Curve
from report.store import Behavior, Evaluation, Protocol, Record
from sources.request import Source
from training.cli import exit_on_user_error
from training.registry import find
from training.settings import Settings, parse, preset_settings, spec_of
from training.staleness import stale

MODELS = ("bc", "dt", "tt")
ROBOTS = ("hopper", "walker2d", "halfcheetah")
QUALITIES = ("random", "medium", "expert", "medium-replay", "medium-expert")
ROOT = Path(__file__).resolve().parent.parent
# Run in a process of its own, whose memory is the report's alone.
REPORT = """
import json, resource, sys
runs = sys.argv[1]
from experiments import report
sys.stdout = open("/dev/null", "w")
report.main(report.Options(report.Path(runs), figures=False))
usage = resource.getrusage(resource.RUSAGE_SELF)
taken = {"seconds": usage.ru_utime + usage.ru_stime, "megabytes": usage.ru_maxrss / 1e3}
print(json.dumps(taken), file=sys.__stdout__)
"""


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    return [*(reported(count) for count in (500, 1500)), compared(500), improvement(seeds=30)]


def written(runs: Path, count: int) -> list[Record]:
    """`count` records with their curves, as many seeds as it takes."""
    rng = np.random.default_rng(0)
    names = [f"{robot}-{quality}" for robot in ROBOTS for quality in QUALITIES]
    made: list[Record] = []
    recorded: tuple[Source, ...] = ("collected", "reroll")
    while len(made) < count:
        seed = len(made) // (len(MODELS) * 2 * len(names))
        for source in recorded:
            for name in names:
                made += [one(model, name, source, seed, rng) for model in MODELS]
    for record in made[:count]:
        folder = runs / record.name
        folder.mkdir(parents=True)
        (folder / store.RECORD).write_text(json.dumps(store.plain(asdict(record))), encoding="utf-8")
        rows = "".join(f"{100 * row},{row},{1e-3},{1 / (row + 1)}\n" for row in range(400))
        Curve(folder).path.write_text(f"update,seconds,learning_rate,loss/total\n{rows}", encoding="utf-8")
    return made[:count]


def one(model: str, name: str, source: Source, seed: int, rng: np.random.Generator) -> Record:
    """A record of what a command would run, but for its scores."""
    settings = usual(model, name)
    run = replace(settings.run, source=source, seed=seed, precision="bf16", target_returns=(3600.0, 1800.0))
    run = run if model == "dt" else replace(run, target_returns=())
    settings = replace(settings, run=replace(run, episodes=100))
    targets: tuple[float | None, ...] = settings.run.target_returns or (None,)
    returns = rng.normal(1500, 300, (len(targets), 100)).round(1)
    return Record(
        model=model, dataset=name, env=name.split("-")[0], source=source, seed=seed,
        data={"digest": "d" * 64, "steps": 1_000_000}, config=store.plain(settings.resolved()) | {"data": "d" * 64},
        protocol=Protocol(
            episodes=100, checkpoint="last", physics="d4rl", environment="Hopper-v4",
            target_returns=settings.run.target_returns, seeds=tuple(range(100)), random_score=0.0, expert_score=3000.0,
        ),
        behavior=Behavior.of(np.linspace(300, 2600, 200), 45.2),
        evaluations=tuple(
            Evaluation.of(target, row, [500] * 100, row.mean() / 30)
            for target, row in zip(targets, returns, strict=True)
        ),
        parameters=730_000, updates=settings.run.updates, tokens=10**9, seconds={"train": 60.0, "evaluate": 9.0},
        peak_memory_mb=900.0, device="cpu", threads=1, versions={"python": "3.11"}, commit="c" * 40, dirty=False,
        command=f"{command(replace(settings, run=replace(run, seed=0)))} --seed {seed}",
    )  # fmt: skip


@cache
def usual(model: str, name: str) -> Settings:
    return preset_settings(find(model, spec_of((name,))), (name,), "default")


@cache
def command(settings: Settings) -> str:
    return settings.command()


def reported(count: int) -> dict[str, object]:
    """Everything but the figures, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "results" / "runs"
        written(runs, count)
        done = subprocess.run(
            [sys.executable, "-c", REPORT, str(runs)], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
        )
        page = (runs.parent / "index.html").stat().st_size
    taken = json.loads(done.stdout.splitlines()[-1])
    note = f"processor time; {taken['megabytes']:.0f} MB at most; the page has {page / 1e6:.1f} MB"
    return {"what": f"a report of {count:,} records", "ours": f"{taken['seconds']:.1f} s", "note": note}


def compared(count: int) -> dict[str, object]:
    """Which records are stale: settings compared as data, against a command line parsed for each."""
    with tempfile.TemporaryDirectory() as folder:
        records = written(Path(folder), count)
    stale(records[:1])  # the models are imported
    ours = seconds(lambda: stale(records))
    some = records[:: max(1, count // 20)]
    peer = seconds(lambda: [parse(record.command.split()[2:]).resolved() for record in some]) * count / len(some)
    return row(f"which of {count:,} records are stale", ours, peer, "against a command line parsed for each of them")


def improvement(seeds: int, tasks: int = 10) -> dict[str, object]:
    """The interval of a probability of improvement."""
    rng = np.random.default_rng(0)
    first, second = ([rng.normal(50, 9, seeds) for _ in range(tasks)] for _ in range(2))
    ours = seconds(lambda: statistics.improvement_interval(first, second))
    peer = seconds(lambda: by_pairs(first, second))
    what = f"the interval of improvement of {seeds} seeds over {seeds} on {tasks} data sets"
    return row(what, ours, peer, "against all pairs of seeds in each of 20,000 draws")


def by_pairs(first: list[np.ndarray], second: list[np.ndarray]) -> np.ndarray:
    """As `improvement_interval`, with every pair of each draw compared."""
    means = []
    for one, other in zip(statistics.resampled(first), statistics.resampled(second, seed=1), strict=True):
        pairs = one[:, :, None] > other[:, None, :], one[:, :, None] == other[:, None, :]
        means.append((pairs[0] + 0.5 * pairs[1]).mean((1, 2)))
    return statistics.middle(np.mean(means, axis=0))


def row(what: str, ours: float, peer: float, note: str) -> dict[str, object]:
    return {"what": what, "ours": f"{ours:.3g} s", "peer": f"{peer:.3g} s", "ratio": peer / ours, "note": note}


if __name__ == "__main__":
    with exit_on_user_error():
        for measured in measure():
            print("; ".join(f"{name} {value}" for name, value in measured.items()))
