"""A grid of runs and its report: python experiments/benchmark.py --suite locomotion-medium --jobs 2

Prints what is done, what is missing and how long that will take, runs it, and ends with the tables. Kill it whenever
you like: the same command goes on from the last checkpoints. Options that are not its own go to every run:

    python experiments/benchmark.py --models bc dt --envs hopper-medium --seeds 0 1 --source reroll --updates 500
    python experiments/benchmark.py --suite locomotion-medium --path '/data/{file}' --dry-run
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from backbone.options import check_words
from report.store import RECORD, read_all
from sources.processes import processors
from sources.request import Source
from training import jobs
from training.cli import exit_on_user_error
from training.grid import Planned, State, duration, plan, states
from training.provenance import PROJECT, ROOT
from training.run_lock import clear_finished
from training.suites import Suite, find, suites
from trajectories.errors import UserError

NAME = 40  # characters of a run's name, so that a line fits a terminal's 80


@dataclass(frozen=True)
class Options:
    """Run every model on every data set with every seed; other options go to experiments/run.py as they are."""

    suite: str = ""
    """start from a suite of experiments/suites.toml: locomotion-medium, locomotion, atari-4, smoke, paper"""
    models: tuple[str, ...] = ()
    """bc, dt, tt, gato; else the suite's"""
    envs: tuple[str, ...] = ()
    """data sets; else the suite's"""
    seeds: tuple[int, ...] = ()
    """training seeds; else the suite's, or 0"""
    source: Source | None = None
    """where the data come from; else the suite's"""
    preset: str = ""
    """budget and settings to start from: a table of experiments/presets.toml"""
    jobs: int = 1
    """runs at once on this machine, which share its cores"""
    threads: int = 0
    """threads for each run; 0: the cores divided by --jobs (with --ray: 1)"""
    ray: str = ""
    """run on a Ray cluster instead: auto, or its address; see ray start --help"""
    gpus: float = 0.0
    """GPUs for each run on the Ray cluster; a fraction shares one"""
    dry_run: bool = False
    """print what is done and missing, as comments, and the commands of what is missing"""
    results_dir: Path = field(default_factory=lambda: PROJECT / "results" / "runs")
    """where runs are kept"""
    report: bool = True
    """end with experiments/report.py"""


def main(options: Options, extra: Sequence[str]) -> int:
    return run_all(options, plan(chosen(options), extra))


def run_all(options: Options, runs: Sequence[Planned]) -> int:
    """Run what is missing of a grid, as the options say, what is in it twice once; the exit code."""
    runs = list({run.arguments: run for run in runs}.values())
    records = read_all(options.results_dir)
    before = states(runs, records, options.results_dir)
    missing = [(run, state) for run, state in zip(runs, before, strict=True) if not state.done]
    for line in overview(runs, before, 1 if options.ray else options.jobs):
        print(f"# {line}" if options.dry_run else line, flush=True)
    if options.dry_run:
        kept = [] if options.results_dir == Options().results_dir else ["--results-dir", str(options.results_dir)]
        for run, _ in missing:
            print(shlex.join([*shlex.split(run.command), *kept]))
        return 0
    for record in options.results_dir.glob(f"*/{RECORD}"):
        clear_finished(record.parent)
    failed = execute(options, missing) if missing else 0
    if options.report:
        write_report(options.results_dir)
    return 1 if failed else 0


def chosen(options: Options) -> Suite:
    """The chosen suite, changed by the other options.

    Raises:
        UserError: neither a suite nor models and data sets, or a number of jobs that cannot be.
    """
    if options.jobs < 1:
        raise UserError(f"--jobs is {options.jobs}, and nothing is run by that many: give 1 or more.")
    suite = find(options.suite) if options.suite else Suite(options.models, options.envs, (0,))
    names = ("models", "envs", "seeds", "source", "preset")
    suite = replace(suite, **{name: getattr(options, name) for name in names if getattr(options, name)})
    if not suite.models or not suite.envs:
        least = "--models dt --envs hopper-medium"
        raise UserError(
            f"There is nothing to run: name a --suite ({', '.join(suites())}), or models and envs: {least}."
        )
    return suite


def overview(runs: Sequence[Planned], before: Sequence[State], at_once: int) -> Iterator[str]:
    """A line for each run, and how long the missing ones will take together."""
    width = min(NAME, max(len(run.name) for run in runs))
    for run, state in zip(runs, before, strict=True):
        if state.record is not None:
            text = f"done     score {state.record.evaluations[0].normalized:.1f}"
        elif state.updates:
            text = f"begun    {state.updates / run.settings.run.updates:.0%}, {duration(state.seconds)}"
        else:
            text = f"missing  {duration(state.seconds)}"
        yield f"{run.name:{width}}  {text}"
    left = [state for state in before if not state.done]
    known = [state.seconds for state in left if state.seconds is not None]
    together = f"about {duration(sum(known) / at_once)} by earlier runs" if known else "no earlier runs to judge by"
    unknown = f", {len(left) - len(known)} of them unlike any earlier run" if known and len(known) < len(left) else ""
    yield f"{len(runs) - len(left)} of {len(runs)} done, {len(left)} missing: {together}{unknown}."


def execute(options: Options, missing: Sequence[tuple[Planned, State]]) -> int:
    """Run what is missing, with a line for each run that ends; how many failed."""
    threads = options.threads or (1 if options.ray else max(1, processors() // options.jobs))
    machine = ("--results-dir", str(options.results_dir.absolute()), "--threads", str(threads))
    logs = options.results_dir.absolute().parent / "logs"
    todo = [jobs.Job(run, machine, logs / f"{run.file}.log", threads) for run, _ in missing]
    left = {run.arguments: state.seconds for run, state in missing}
    failed = 0
    with closing(started(options, todo)) as ends:  # which ends the others when this is interrupted
        for count, ended in enumerate(ends, 1):
            left.pop(ended.job.run.arguments)
            known = [seconds for seconds in left.values() if seconds is not None]
            remaining = f"; about {duration(sum(known) / options.jobs)} left" if known else ""
            failed += ended.code != 0
            print(f"[{count}/{len(todo)}] {ended.job.run.name}: {outcome(options, ended)}{remaining}", flush=True)
    return failed


def started(options: Options, todo: Sequence[jobs.Job]) -> Generator[jobs.Ended, None, None]:
    if options.ray:
        return jobs.on_ray(todo, options.ray, options.gpus, print)
    return jobs.run_local(todo, options.jobs, print)


def outcome(options: Options, ended: jobs.Ended) -> str:
    """What came of a run, or where to read why nothing did."""
    if ended.code:
        return f"failed with exit code {ended.code}: {ended.why} ({ended.job.log})"
    (state,) = states([ended.job.run], read_all(options.results_dir), options.results_dir)
    if state.record is None:
        return f"ended without its record ({ended.job.log})"
    return f"score {state.record.evaluations[0].normalized:.1f} after {duration(sum(state.record.seconds.values()))}"


def write_report(runs: Path) -> None:
    """Tables and page of all records, in a process of its own, since they need nothing that runs need."""
    words = [sys.executable, str(ROOT / "experiments" / "report.py"), "--results-dir", str(runs)]
    spoken = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(words, capture_output=True, encoding="utf-8", env=spoken, check=False)
    output = done.stdout if done.returncode == 0 else done.stderr
    print(next((line for line in output.splitlines() if " records: " in line), output.strip()))


def command_line(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """The grid's own options, and the words for every run."""
    check_words(arguments, (Options,))
    own, extra = tyro.cli(Options, args=list(arguments), prog="benchmark.py", return_unknown_args=True)
    return own, extra


def console() -> None:
    """The command `trajectory-benchmark`, and of this file."""
    with exit_on_user_error("Run the same command again to continue."):
        sys.exit(main(*command_line(sys.argv[1:])))


if __name__ == "__main__":
    console()
