"""A task that a trained Gato has not learned, from a few demonstrations: python experiments/adapt.py results/runs/<run>

    python experiments/adapt.py results/runs/<run> --env metaworld-drawer-open --demonstrations 10 100 1000
    python experiments/adapt.py results/runs/<run> --env babyai-pickup-dist --also results/runs/<run of one robot>
    python experiments/report.py              # the table and the figure, with all else

The run's weights go on learning from so many demonstrations, beside the same model from scratch, the weights of other
runs (--also), the nearest neighbor over these demonstrations, and the run as it is, which gets them as its prompt only.
Each is a record of its own; kill it whenever you like, the same command goes on. Other options go to every run:

    python experiments/adapt.py results/runs/<run> --env dmc-cartpole-balance --source collected --steps 1000000
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from experiments import benchmark
from report import adaptation, commands, grid, markdown, store
from report.parsing import read_json
from training.cli import exit_on_user_error
from training.grid import Planned
from training.provenance import PROJECT
from training.run_lock import CARD
from training.settings import Machine, Run, flag, parse
from training.start import folder_of
from trajectories.catalog import dataset
from trajectories.errors import UserError
from trajectories.names import file_name


@dataclass(frozen=True)
class Options:
    """Adapt a trained Gato to a task from a few demonstrations; other options go to experiments/run.py as they are."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a finished run of Gato, results/runs/<run>"""
    env: str = "metaworld-drawer-open"
    """data set of a task that the run has not learned"""
    demonstrations: tuple[int, ...] = (10, 100, 1000)
    """how many, each by itself; larger draws hold the smaller ones"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """training seeds; the demonstrations are the same for all"""
    also: tuple[Path, ...] = ()
    """other finished runs of Gato to begin with: a specialist of another family"""
    updates: int = 1_000
    """gradient steps of each adaptation"""
    jobs: int = 1
    """runs at once on this machine, which share its cores"""
    dry_run: bool = False
    """print what is done and missing, as comments, and the commands of what is missing"""
    results_dir: Path = field(default_factory=lambda: PROJECT / "results" / "runs")
    """where runs are kept"""
    report: bool = True
    """end with experiments/report.py"""


@dataclass(frozen=True)
class Cell(Planned):
    """One kind of start with one number of demonstrations and one seed."""

    start: str
    demonstrations: int

    @property
    def name(self) -> str:
        return f"{self.start}, {self.demonstrations:,} demonstrations, seed {self.seed}"

    @property
    def file(self) -> str:
        return file_name(f"adapt-{self.env}-{self.start}-{self.demonstrations}-s{self.seed}".replace(" ", "-"))


def main(options: Options, extra: Sequence[str]) -> int:
    """Run what is missing, and print the table."""
    cells = list(planned(options, extra))
    if not options.dry_run:
        check_enough(max(cells, key=lambda cell: cell.demonstrations))
    machine = ("jobs", "dry_run", "results_dir", "report")
    code = benchmark.run_all(benchmark.Options(**{name: getattr(options, name) for name in machine}), cells)
    if not options.dry_run:
        found = adaptation.adaptations(grid.rows(store.read_all(options.results_dir)))
        print(markdown.grid(adaptation.table([each for each in found if each.first.dataset == options.env])))
    return code


def planned(options: Options, extra: Sequence[str]) -> Iterator[Cell]:
    """Every cell, the smallest number of demonstrations first, so that an unfinished grid compares already.

    Raises:
        UserError: a run without weights, one that has learned the task, or an option that cannot be.
    """
    for name in ("demonstrations", "seeds"):
        if not getattr(options, name) or min(getattr(options, name)) < (name == "demonstrations"):
            raise UserError(f"--{name} is {getattr(options, name)}: give one number of at least 1, or several.")
    others = [folder_of(str(options.run), "adapt.py"), *(folder_of(str(run), "--also") for run in options.also)]
    for folder in others:
        check_held_out(folder, options.env)
    learned_before = adaptation.named_starts(folder.name for folder in others)
    for count in sorted(set(options.demonstrations)):
        for seed in options.seeds:
            common = ["--env", options.env, "--demonstrations", str(count), "--seed", str(seed)]
            gato = ["--model", "gato", *common]
            learned = ["--updates", str(options.updates), *extra]
            for folder in others:
                start = f"from {learned_before[folder.name]}"
                yield cell(start, count, [*gato, "--start", str(folder), *learned])
            yield cell("from scratch", count, [*gato, *settings_of(others[0], options.env, extra), *learned])
            if seed == options.seeds[0]:  # nothing is drawn by it
                prompted = f"{learned_before[others[0].name]}, prompted"
                yield cell(prompted, count, [*gato, "--start", str(others[0]), *extra, "--updates", "0"])
                yield cell("Nearest", count, ["--model", "nearest", *common, *for_all(extra)])


def cell(start: str, demonstrations: int, words: Sequence[str]) -> Cell:
    settings = parse(words)
    run = settings.run
    return Cell(run.model, run.env[0], run.seed, tuple(words), settings, start, demonstrations)


def settings_of(folder: Path, env: str, extra: Sequence[str] = ()) -> list[str]:
    """What a run's model has set otherwise than one of the task alone, as it is typed.

    Args:
        extra: further options of both, of which a preset gives one of the task alone other settings.
    """
    words = ["--model", "gato", "--env", env, *extra]
    usual, own = parse(words).config, parse([*words, "--start", str(folder)]).config
    changed = [each.name for each in fields(own) if getattr(own, each.name) != getattr(usual, each.name)]
    return [word for name in changed for word in flag(name, getattr(own, name))]


def for_all(extra: Sequence[str]) -> list[str]:
    """Those of the further options that are no model's."""
    known = {flag(each.name, 0)[0] for owner in (Run, Machine) for each in fields(owner)}
    given = {f"--{name.replace('_', '-')}": values for name, values in commands.options(extra).items()}
    return [word for name, values in given.items() if name.replace("--no-", "--") in known for word in (name, *values)]


def check_held_out(folder: Path, env: str) -> None:
    """Refuse a task that the run has learned: nothing is adapted to."""
    spec = read_json(folder / CARD).get("spec")
    learned = {str(each.get("name")) for each in (spec if isinstance(spec, list) else [spec]) if isinstance(each, dict)}
    if learned & {env, *([dataset(env).env] if len(learned) == 1 else [])}:
        raise UserError(f"{folder.name} has learned {env} already: name a task with --env that it has not.")


def check_enough(largest: Cell) -> None:
    """Load the data once, before anything is trained: there may be fewer demonstrations."""
    from training.run import load_tasks

    load_tasks(largest.settings)


def command_line(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Its own options, and the words for every run."""
    own, extra = tyro.cli(Options, args=list(arguments), prog="adapt.py", description=__doc__, return_unknown_args=True)
    return own, extra


def console() -> None:
    """This file as a command."""
    with exit_on_user_error("Run the same command again to continue."):
        sys.exit(main(*command_line(sys.argv[1:])))


if __name__ == "__main__":
    console()
