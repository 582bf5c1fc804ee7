"""Everything about data sets: what there is, what is in one, and how to get it, check it, give it away and remove it.

    python experiments/data.py list hopper
    python experiments/data.py show hopper-medium --source reroll --path hopper_medium-v2.hdf5
    python experiments/data.py fetch walker2d-medium
    python experiments/data.py collect hopper-medium-replay
    python experiments/data.py verify hopper-medium --source collected
    python experiments/data.py export hopper-medium --to minari
    python experiments/data.py remove hopper-medium --source reroll

Nothing here needs a network but `fetch`, and nothing but `fetch`, `collect` and `show` makes anything. Each command
imports what it needs when it is run.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from backbone.options import check_options, check_words, option
from sources.request import CachedSource, Physics, Source
from training.cli import exit_on_user_error
from trajectories import gym_registry
from trajectories.answered import AnsweredRow
from trajectories.catalog import dataset
from trajectories.disk import data_folder
from trajectories.errors import UserError
from trajectories.names import plain_name
from trajectories.own_names import check_named, own_name
from trajectories.pairs import Pairs
from trajectories.types import Trajectories

USUAL = "hopper-medium"
HDF5 = (".hdf5", ".h5", ".hdf")


@dataclass(frozen=True)
class Cache:
    """Where data are kept."""

    data_dir: Path | None = option(None, "cache for data; else $TRAJECTORIES_DIR, else the user's cache folder")


@dataclass(frozen=True)
class One(Cache):
    """A data set, and where it comes from."""

    name: Annotated[str, tyro.conf.Positional] = option(
        "", f"data set, a Minari id, or mine@Hopper-v4; else {USUAL}, or the name of the file"
    )
    source: Source = option("auto", "where the data come from; auto: the first of them that has the data set")
    path: Path | None = option(None, "a data file of your own, or the D4RL file whose policy is to be rerolled")
    allow_mismatch: bool = option(False, "take a --path although its states are far from what is published of them")
    task: str | None = option(None, "with a --path of your own: the environment it belongs to, Hopper-v4 or hopper")
    steps: int | None = option(None, "steps to reroll or collect, if not the data set's own number")
    seed: int = option(0, "seed of rerolled and collected data", low=0, below=1 << 63)
    physics: Physics = option("d4rl", "of rerolled and collected data")
    replay_steps: int = option(500_000, "dqn-replay: steps to select")
    replay_checkpoints: int = option(50, "dqn-replay: of the last so many checkpoints")

    def load(self) -> Any:
        from sources.loading import Request, load

        check_options(self)
        recorded = self.source in ("reroll", "collected") or (self.source == "auto" and self.path is None)
        drawn = self.source == "dqn-replay" or (self.path is not None and self.source == "auto" and self.path.is_dir())
        for name, used in (("physics", recorded), ("seed", recorded or drawn)):
            if (value := getattr(self, name)) != getattr(One, name) and not used:
                raise UserError(f"--{name} {value} is for data that are recorded here: leave it out.")
        if self.task is None:
            check_named([self.name] if self.name else [], [self.path] if self.path else [], self.source)
        name = own_name(self.name or None, self.task, self.path) if self.task else self.name or USUAL
        gym_registry.trust(name)
        request = Request(name, self.source, self.path, self.steps, self.seed, self.physics, self.data_dir)
        request = replace(request, replay_steps=self.replay_steps, replay_checkpoints=self.replay_checkpoints)
        return load(replace(request, allow_mismatch=self.allow_mismatch))


@dataclass(frozen=True)
class List(Cache):
    """Every data set: from which sources it can be had, and what of it is in the cache."""

    part: Annotated[str, tyro.conf.Positional] = option("", "only names that contain this")
    versions: bool = option(False, "also D4RL's earlier versions")

    def run(self) -> None:
        from sources import data_list, inventory

        rows = inventory.rows(data_folder(self.data_dir), self.part, self.versions)
        if not rows:
            raise UserError(f"No data set's name contains {self.part!r}: leave it out to see them all.")
        data_list.print_list(rows, data_folder(self.data_dir))


@dataclass(frozen=True)
class Show(One):
    """What is in a data set: episodes, returns, statistics of every dimension beside D4RL's published ones.

    Of pairs, how many and which answers, and a picture of some; of a text, how much and how it begins.
    """

    picture: Path | None = option(None, "write the picture here, .png or .svg; else beside the cached data")
    dimensions: bool = option(True, "the statistics of every dimension")

    def run(self) -> None:
        from sources import answers_report, data_pictures, data_report
        from sources.loading import describe

        data = self.load()
        print(describe(data))
        if isinstance(data, Trajectories):
            data_report.print_summary(data)
            if self.dimensions:
                data_report.print_dimensions(data)
        else:
            answers_report.print_summary(data)
            if not isinstance(data, Pairs):
                return
        name = plain_name(f"{data.origin.name}-{data.origin.source}")
        file = self.picture or data_folder(self.data_dir) / "pictures" / f"{name}.png"
        try:
            answers_report.draw(data, file) if isinstance(data, Pairs) else data_pictures.draw(data, file)
        except UserError as error:
            if self.picture:
                raise
            print(f"no picture: {error}")  # a cache that may only be read
        else:
            print(f"picture {file}")


@dataclass(frozen=True)
class Fetch(Cache):
    """Download D4RL's or DQN-replay's files into the cache, and check them against what is published.

    What is answered, as easy-vqa, is fetched by pip, apt or npm. `d4rl-pieces` are the first steps of some of D4RL's
    files, which the tests read.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = field(default=("hopper-medium",))
    replay_steps: int = option(500_000, "dqn-replay: steps to select")
    replay_checkpoints: int = option(50, "dqn-replay: of the last so many checkpoints, which alone are fetched")

    def run(self) -> None:
        from sources import pieces
        from sources.loading import Request, describe, load

        for name in self.names:
            if name == pieces.NAME:
                print(f"pieces of D4RL's files, for the tests: {pieces.fetched(data_folder(self.data_dir))}")
                continue
            row = dataset(name)
            named = {"dqn_replay": "dqn-replay", "jat": "jat"}
            source = "package" if isinstance(row, AnsweredRow) else named.get(row.format, "d4rl")
            request = Request(name, source, data_dir=self.data_dir)
            request = replace(request, replay_steps=self.replay_steps, replay_checkpoints=self.replay_checkpoints)
            print(describe(load(request)))


@dataclass(frozen=True)
class Collect(Cache):
    """Record data sets here from our own behavior policies and players, with no network."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = field(default=("hopper-medium",))
    steps: int | None = option(None, "how many, if not the data set's own number")
    seed: int = option(0, "the same seed gives the same data")
    physics: str = option("d4rl", "d4rl or gymnasium")

    def run(self) -> None:
        from sources.loading import Request, describe, load

        for name in self.names:
            print(describe(load(Request(name, "collected", None, self.steps, self.seed, self.physics, self.data_dir))))


@dataclass(frozen=True)
class Verify(One):
    """Hash the cached columns again, and compare their statistics with the published ones."""

    def run(self) -> None:
        from sources import data_report
        from trajectories.store import digest

        data = self.load()
        found = digest(data)
        if found != data.origin.digest:
            raise UserError(
                f"{data.origin.name} from {data.origin.source} has been changed in the cache (sha256 {found[:12]}, not "
                f"{data.origin.digest[:12]}): remove it with `data.py remove {data.origin.name}`."
            )
        print(f"{data.origin.name} from {data.origin.source}: sha256 {found}, as when it was stored.")
        print(data_report.verdict(data))


@dataclass(frozen=True)
class Export(One):
    """Write a data set as others read it."""

    to: Literal["minari", "d4rl"] = option(
        "minari", "minari: a data set that Minari loads; d4rl: an HDF5 file in D4RL's layout"
    )
    id: str | None = option(None, "minari: the data set's id there; else NAME/SOURCE-v0")
    out: Path | None = option(None, "minari: root of the data sets, else Minari's own; d4rl: the file")

    def run(self) -> None:
        from sources import export

        if self.to == "d4rl" and self.id is not None:
            raise UserError(f"--id {self.id} names a data set of Minari's: leave it out, or add --to minari.")
        if self.to == "d4rl" and self.out is not None and self.out.suffix not in HDF5:
            raise UserError(f"--out {self.out}: D4RL's layout is HDF5's, so name the file .hdf5.")
        data = self.load()
        if not isinstance(data, Trajectories):
            raise UserError(
                f"{data.origin.name} has no steps that Minari or D4RL could hold: give it as its own files."
            )
        if self.to == "minari":
            name = self.id or export.minari_id(data)
            print(f"{len(data):,} steps written: {export.to_minari(data, name, self.out)}")
            print(f'Minari loads them: minari.load_dataset("{name}"); so do we: --env {name}')
        else:
            file = self.out or Path(f"{plain_name(f'{data.origin.name}-{data.origin.source}')}.hdf5")
            print(f"{len(data):,} steps written: {export.to_d4rl(data, file)}")


@dataclass(frozen=True)
class Remove(Cache):
    """Remove what the cache holds of a data set; files given with --path are never touched."""

    name: Annotated[str, tyro.conf.Positional] = option("hopper-medium", "data set")
    source: Literal["all", CachedSource] = option("all", "only what came from here")
    dry_run: bool = option(False, "only say what would be removed")

    def run(self) -> None:
        from sources import inventory

        name = self.name if "@" in self.name or "/" in self.name else dataset(self.name).name
        kept = [one for one in inventory.kept(data_folder(self.data_dir), name) if self.source in ("all", one.source)]
        if not kept:
            nothing = f"The cache {data_folder(self.data_dir)} holds nothing of {name} from {self.source}"
            raise UserError(f"{nothing}: `python experiments/data.py list` shows what it holds.")
        for one, size in [(one, one.size) for one in kept]:
            if not self.dry_run:
                one.remove()
            print(f"{'would remove' if self.dry_run else 'removed'} {one.path} ({size / 1e6:,.1f} MB)")


COMMANDS: tuple[type[Any], ...] = (List, Show, Fetch, Collect, Verify, Export, Remove)


def main(arguments: list[str]) -> None:
    """Carry out one command."""
    commands: dict[str, Callable[..., Any]] = {command.__name__.lower(): command for command in COMMANDS}
    check_words(arguments, [command for command in COMMANDS if command.__name__.lower() in arguments[:1]])
    chosen = tyro.extras.subcommand_cli_from_dict(
        commands, args=arguments, prog="data.py", description=__doc__, config=(tyro.conf.OmitArgPrefixes,)
    )
    chosen.run()


def console() -> None:
    """The command `trajectory-data`, and of this file."""
    with exit_on_user_error():
        main(sys.argv[1:])


if __name__ == "__main__":
    console()
