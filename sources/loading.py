"""One name, several sources, never mixed: where `--env hopper-medium --source ...` gets its trajectories.

    d4rl       D4RL's own file: in the cache, fetched into it, or given with --path
    reroll     a million steps rolled out here from the behaviour policy that a D4RL file carries
    collected  rolled out here from behaviour policies of our own
    minari     a data set of Minari's on this machine, by its id, by the catalog's, or by its folder with --path
    dqn-replay Atari's public files: in the cache, fetched into it shard by shard, or a folder given with --path
    file       whatever --path names, if no source is named: a D4RL-style HDF5 file or a trajectory pickle
    auto       `file` if a path is given, `minari` if the name is an id of Minari's, else `d4rl` if it is there or can
               be fetched, else `collected`. Of Atari `dqn-replay` if a path is given or the files are in the cache:
               many gigabytes are never fetched without being asked for

Every source ends in the same column cache (store.py). The name of what is made here holds everything that decides it
(policy, steps, seed, physics), so that a new policy is never answered with an old one's data.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sources import dqn_replay_download
from sources.description import against_published, check_environment, compared, describe, is_published
from sources.fetch import FetchError, Published, fetch
from sources.folders import cannot_be_read
from sources.inventory import other_source
from sources.request import Request, check
from trajectories.actions import scaled
from trajectories.atomic import disk_errors, make_once
from trajectories.catalog import DatasetRow, dataset, environment
from trajectories.disk import data_folder, named_in_cache
from trajectories.errors import DatasetError, UserError
from trajectories.formats import d4rl, dqn_replay, minari, own_files
from trajectories.formats.whole import check_gzips, check_hdf5, is_whole
from trajectories.names import path_name
from trajectories.own_names import OWN, own_parts
from trajectories.store import cached
from trajectories.types import Trajectories

__all__ = ["SOURCES", "Request", "describe", "load"]

WHOLE, WHOLE_FOLDER = partial(is_whole, check=check_hdf5), partial(is_whole, check=check_gzips)
REROLL_STEPS = 1_000_000  # as many as D4RL's medium and expert files hold


def load(request: Request | str, **options: Any) -> Trajectories:
    """The trajectories of a data set, as memory-mapped columns; recorded or fetched first where they are not here yet.

    Args:
        request: which data set, or its name alone, "hopper-medium".
        options: with a name: the other fields of `Request`, as source="reroll", path=Path("mine.hdf5").

    Prints one line where `auto` falls back to collected data, and progress while something is fetched or recorded.

    Raises:
        UserError: an unknown name or source, a path or a number of steps that the source has no use for, no network, a
            file that cannot be read or does not fit, a full disk.
    """
    if isinstance(request, str):
        request = Request(request, **options)
    row = dataset(request.name)
    request = replace(request, path=request.path and request.path.expanduser())
    check(request, SOURCES)
    with named_in_cache(data_folder(request.data_dir), row.name):
        data = SOURCES[request.source](request, row)
    if request.path is not None and not request.allow_mismatch:
        check_environment(data, row)
    differs = environment(data.spec.name).differs
    details = {**data.origin.details, **({"differs": differs} if differs else {})}
    return replace(data, origin=replace(data.origin, details=details))


def _auto(request: Request, row: DatasetRow) -> Trajectories:
    path = request.path
    if row.format == "dqn_replay" and not (path and (path.is_file() or minari.folder_of(path))):
        return _auto_atari(request, row)
    own = own_parts(row.name)
    if path is not None:
        return _folder(request, row) if path.is_dir() else _file(request, row)
    if row.minari == row.name or (own and minari.versions(own[0])):
        return _minari(request, row)
    if own:
        raise UserError(f"{row.name} is data of your own: say with --path where they are.")
    if not row.urls:
        return _collected(request, row)
    try:
        return _d4rl(request, row)
    except FetchError as error:
        from sources import collect

        if not row.collected_steps or not collect.available(row.env, row.quality):
            raise
        print(f"D4RL's {row.name} is not in the cache and cannot be fetched ({error.reasons}): using collected data.")
        return _collected(request, row)


def _auto_atari(request: Request, row: DatasetRow) -> Trajectories:
    if request.path is not None or dqn_replay_download.is_here(
        data_folder(request.data_dir), row, request.replay_checkpoints
    ):
        return _dqn_replay(request, row)
    if not row.collected_steps:
        raise UserError(
            f"Nobody here can play {row.name}: fetch DQN-replay's files by --source dqn-replay, or name them by --path."
        )
    print(f"DQN-replay's {row.name} is not in the cache (--source dqn-replay fetches it): using collected data.")
    return _collected(request, row)


def _file(request: Request, row: DatasetRow) -> Trajectories:
    assert request.path is not None
    return _columns(request, row, "file", request.path, {}, own_files.read)


def _d4rl(request: Request, row: DatasetRow) -> Trajectories:
    """D4RL's file. What was fetched must agree with what is published; what the user gives is taken at their word."""
    if request.path is not None:
        return _columns(request, row, "d4rl", request.path, {}, own_files.read)
    file = _d4rl_file(request, row)

    def read(*arguments: Any) -> Trajectories:
        data = d4rl.read(*arguments)
        if not is_published(data, row):
            raise DatasetError(
                f"{file} is not D4RL's {row.name}: its statistics differ from the published ones "
                f"({len(data):,} steps, {against_published(data, row)}): give a file of your own with --path, "
                f"or fetch D4RL's after `python experiments/data.py remove {row.name} --source d4rl`."
            )
        return data

    return _columns(request, row, "d4rl", file, {}, read)


def _reroll(request: Request, row: DatasetRow) -> Trajectories:
    from sources import collect

    original = request.path or _d4rl_file(request, row)
    policy = d4rl.policy_digest(original)
    if policy is None:
        raise UserError(f"{original} carries no behaviour policy to roll out: give D4RL's v2 file of medium or expert.")
    file = _recording(request, row, "reroll", steps := request.steps or REROLL_STEPS, policy)
    if request.path is not None and not request.allow_mismatch and not file.exists():
        check_environment(d4rl.read(original, *_as_recorded(row)), row)
    make_once(file, lambda: collect.reroll(original, file, row.env, steps, request.seed, request.physics), WHOLE)
    return _columns(request, row, "reroll", file, _made(request, steps, policy), d4rl.read)


def _collected(request: Request, row: DatasetRow) -> Trajectories:
    if row.environment.family == "atari":
        return _collected_atari(request, row)
    from sources import collect

    if not row.collected_steps or not collect.available(row.env, row.quality):
        raise UserError(f"{row.name} has no behaviour policies here: {other_source(row)}")
    steps = request.steps or row.collected_steps
    policies = collect.policies_digest(row.env, row.quality)
    file = _recording(request, row, "collected", steps, policies)
    collecting = partial(collect.collect, row.env, row.quality, file, steps, request.seed, request.physics)
    make_once(file, collecting, WHOLE)
    return _columns(request, row, "collected", file, _made(request, steps, policies), d4rl.read)


def _collected_atari(request: Request, row: DatasetRow) -> Trajectories:
    if not row.collected_steps:
        raise UserError(f"Nobody here can play {row.name}: use --source dqn-replay, or --path with its files.")
    from sources import collect_atari

    steps, player = request.steps or row.collected_steps, collect_atari.player_digest(row.env.partition("?")[0])
    details = {"seed": request.seed, "steps": steps, "policy": player, "rewards": "as the game's score"}
    name = f"{path_name(row.name)}-{steps}-seed{request.seed}-{player[:12]}"
    folder = data_folder(request.data_dir) / "collected" / name
    make_once(folder, lambda: collect_atari.collect(row.env, folder, steps, request.seed), WHOLE_FOLDER)
    return _stacks(request, row, "collected", folder, details, dqn_replay.Selection())


def _dqn_replay(request: Request, row: DatasetRow) -> Trajectories:
    """DQN-replay's files, of which kzl's number of steps is selected; the user's own files likewise."""
    if row.format != "dqn_replay" or row.path is None:
        raise UserError(f"DQN-replay holds Atari's games, and not {row.name}: {other_source(row)}")
    if request.path is not None:
        folder = dqn_replay.folder_of(request.path, row.path.partition("/")[0])
    else:
        folder = dqn_replay_download.fetched(data_folder(request.data_dir), row, request.replay_checkpoints)
    selection = dqn_replay_download.selection(request.replay_steps, request.replay_checkpoints, request.seed)
    asked = {"replay_steps": selection.steps, "replay_checkpoints": selection.checkpoints}
    details = {**asked, "checkpoints_below": selection.below, "seed": selection.seed, "rewards": "as in the files"}
    return dqn_replay_download.clipped(_stacks(request, row, "dqn-replay", folder, details, selection))


def _stacks(
    request: Request,
    row: DatasetRow,
    source: str,
    folder: Path,
    details: dict[str, Any],
    selection: dqn_replay.Selection,
) -> Trajectories:
    """The columns of files in DQN-replay's layout; frames are streamed into theirs."""
    cache, details = data_folder(request.data_dir) / "columns", {**details, "environment": row.environment.options}
    read = partial(dqn_replay.read, selection=selection)
    with disk_errors(cache):
        return _columns(request, row, source, folder, details, read, streams_frames=True)


def _folder(request: Request, row: DatasetRow) -> Trajectories:
    """A folder given with --path: a Minari data set, of any version of Minari's.

    Raises:
        DatasetError: it is none; the message says what is in the folder.
    """
    assert request.path is not None
    old = request.path / "data" / "main_data.hdf5"
    if old.is_file() and not minari.folder_of(request.path):
        if not own_parts(row.name):
            raise DatasetError(
                f"{request.path} has no data/{minari.METADATA}, like those that minari wrote before 0.5, and does not "
                f"say in which environment it was recorded: add --task."
            )
        return _file(replace(request, path=old), row)
    return _minari(request, row)


def _minari(request: Request, row: DatasetRow) -> Trajectories:
    """A Minari data set, in the environment that its own metadata name, unless the name or --task say another."""
    own = own_parts(row.name)
    if request.path is None and row.minari is None and not own:
        raise UserError(f"Minari has no {row.name} that is known here: name it by its id, or its folder with --path.")
    folder = minari.folder_of(request.path) if request.path else minari.find(own[0] if own else row.minari or row.name)
    if folder is None:
        raise cannot_be_read(request.path or minari.root())
    played = row.environment if own else minari.environment_of(folder)
    if request.path is None:
        name = str(folder.relative_to(minari.root()))
        row = replace(row, name=f"{name}{OWN}{row.env}" if own else name, env=played.name)
    elif played.name != row.env:
        raise UserError(f"{folder} was recorded in {played.name}, not in {row.env}: add --task {played.name!r}.")

    def read(file: Path, *arguments: Any) -> Trajectories:
        return minari.read(folder, *arguments)

    return _columns(request, row, "minari", minari.metadata_file(folder), {}, read)


SOURCES: dict[str, Callable[[Request, DatasetRow], Trajectories]] = {
    "auto": _auto,
    "d4rl": _d4rl,
    "reroll": _reroll,
    "collected": _collected,
    "minari": _minari,
    "dqn-replay": _dqn_replay,
}


def _d4rl_file(request: Request, row: DatasetRow) -> Path:
    """D4RL's file in the cache, fetched if it is not there yet."""
    if row.file is None:
        raise UserError(f"D4RL has no {row.name}: {other_source(row)}")
    file = data_folder(request.data_dir) / "d4rl" / row.file
    size, sha256 = row.size_and_sha256
    get = partial(fetch, row.urls, file, Published(sha256, size, check_hdf5))
    return make_once(file, get, WHOLE)


def _recording(request: Request, row: DatasetRow, source: str, steps: int, policy: str) -> Path:
    name = f"{path_name(row.name)}-{request.physics}-{steps}-seed{request.seed}-{policy[:12]}.hdf5"
    return data_folder(request.data_dir) / source / name


def _made(request: Request, steps: int, policy: str) -> dict[str, Any]:
    return {"physics": request.physics, "seed": request.seed, "steps": steps, "policy": policy}


def _columns(
    request: Request,
    row: DatasetRow,
    source: str,
    file: Path,
    details: dict[str, Any],
    read: Callable[..., Trajectories],
    streams_frames: bool = False,
) -> Trajectories:
    """The file's columns, from the cache or through it; frames may be written by `read` itself."""
    if not file.exists():
        raise DatasetError(f"There is no file {file}: check --path.")

    def read_and_compare(fresh: Path) -> Trajectories:
        streamed = {"frames": fresh / "observations.npy"} if streams_frames else {}
        return compared(scaled(read(file, *_as_recorded(row, source), **streamed), row.environment), row)

    folder = data_folder(request.data_dir)
    return cached(folder, row.name, source, file, row.environment.spec(), read_and_compare, details)


def _as_recorded(row: DatasetRow, source: str = "d4rl") -> tuple[Any, ...]:
    """What a reader needs to know beside the file."""
    return row.environment.spec(), row.name, source, row.environment.trailing_zeros, row.long_episodes
