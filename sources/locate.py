"""A name and a source -> the files that hold the data set; sources are never mixed.

    d4rl       D4RL's own file: in the cache, fetched into it, or given with --path
    reroll     a million steps rolled out here with the behavior policy that a D4RL file carries
    collected  rolled out here with behavior policies of our own
    minari     a data set of Minari's on this machine, by its id, by the catalog's, or by its folder with --path
    dqn-replay Atari's public files: in the cache, fetched into it shard by shard, or a folder given with --path
    jat        a generalist's demonstrations: in the cache, fetched into it, or a folder given with --path
    package    what is answered, not played: pairs and texts, fetched by pip, apt or npm (answers.py)
    file       whatever --path names, if no source is named: a D4RL-style HDF5 file or a trajectory pickle
    auto       `file` if a path is given, `minari` if the name is an id of Minari's, else `d4rl` if it is there or can
               be fetched, else `collected`. Of Atari `dqn-replay` if a path is given or the files are in the cache:
               many gigabytes are fetched only for `--source dqn-replay`

The name of a file that is recorded here holds everything that decides it (policy, steps, seed, physics), so that a new
policy never gets an old one's data.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sources import dqn_replay_download, jat_download
from sources.description import check_environment
from sources.experts import interface
from sources.fetch import FetchError, Published, fetch
from sources.folders import cannot_be_read
from sources.inventory import collectable, other_source
from sources.recording import Recording, read
from sources.request import REROLL_STEPS, Request
from trajectories import jat_names, minari_folders
from trajectories.atomic import make_once
from trajectories.catalog import recorded_in
from trajectories.disk import data_folder
from trajectories.errors import DatasetError, UserError
from trajectories.formats import d4rl, dqn_replay, jat, lerobot
from trajectories.formats.whole import check_gzips, check_hdf5, is_whole
from trajectories.names import path_name
from trajectories.own_names import OWN, own_parts
from trajectories.rows import DatasetRow

WHOLE, WHOLE_FOLDER = partial(is_whole, check=check_hdf5), partial(is_whole, check=check_gzips)


def locate(request: Request, row: DatasetRow) -> Recording:
    """The files of the data set `row` from the source that `request` names, fetched or recorded if need be.

    Raises:
        UserError: the source has no such data, there is no network, or the disk is full.
    """
    return SOURCES[request.source](request, row)


def _auto(request: Request, row: DatasetRow) -> Recording:
    path = request.path
    if row.format == "dqn_replay" and not (path and (path.is_file() or minari_folders.folder_of(path))):
        return _auto_atari(request, row)
    own = own_parts(row.name)
    if path is not None:
        return _folder(request, row) if path.is_dir() else Recording(row, "file", path)
    if row.minari == row.name or (own and minari_folders.versions(own[0])):
        return _minari(request, row)
    if row.format == "jat":
        return _jat(request, row)
    if own:
        raise UserError(f"{row.name} is data of your own: name their file with --path.")
    if not row.urls:
        return _collected(request, row)
    try:
        return _d4rl(request, row)
    except FetchError as error:
        if not collectable(row):
            raise
        print(f"D4RL's {row.name} is not in the cache and cannot be fetched ({error.reasons}): using collected data.")
        return _collected(request, row)


def _auto_atari(request: Request, row: DatasetRow) -> Recording:
    cache = data_folder(request.data_dir)
    if request.path is not None or dqn_replay_download.is_here(cache, row, request.replay_checkpoints):
        return _dqn_replay(request, row)
    if not row.collected_steps:
        raise UserError(
            f"There is no player of {row.name} here: fetch DQN-replay's files by --source dqn-replay, or give --path."
        )
    print(f"DQN-replay's {row.name} is not in the cache (--source dqn-replay fetches it): using collected data.")
    return _collected(request, row)


def _d4rl(request: Request, row: DatasetRow) -> Recording:
    """D4RL's file. A fetched one must agree with what is published; the user's own is read as it is."""
    if request.path is not None:
        return Recording(row, "d4rl", request.path)
    return Recording(row, "d4rl", _d4rl_file(request, row), published=True)


def _d4rl_file(request: Request, row: DatasetRow) -> Path:
    """D4RL's file in the cache, fetched if it is not there yet."""
    if row.file is None:
        raise UserError(f"D4RL has no {row.name}: {other_source(row)}")
    file = data_folder(request.data_dir) / "d4rl" / row.file
    size, sha256 = row.size_and_sha256
    return make_once(file, partial(fetch, row.urls, file, Published(sha256, size, check_hdf5)), WHOLE)


def _reroll(request: Request, row: DatasetRow) -> Recording:
    from sources import collect

    original = request.path or _d4rl_file(request, row)
    policy = d4rl.policy_digest(original)
    if policy is None:
        raise UserError(f"{original} carries no behavior policy to roll out: give D4RL's v2 file of medium or expert.")
    recording = _recorded(request, row, "reroll", request.steps or REROLL_STEPS, policy)
    file, steps = recording.path, recording.details["steps"]
    if request.path is not None and not request.allow_mismatch and not file.exists():
        check_environment(read(Recording(row, "d4rl", original), file.parent), row)
    make_once(file, lambda: collect.reroll(original, file, row.env, steps, request.seed, request.physics), WHOLE)
    return recording


def _collected(request: Request, row: DatasetRow) -> Recording:
    if row.environment.family == "atari":
        return _collected_atari(request, row)
    if not collectable(row):
        raise UserError(f"{row.name} has no behavior policies here, and no expert: {other_source(row)}")
    if interface.has_expert(row.environment):
        return _demonstrated(request, row)
    from sources import collect

    policies = collect.policies_digest(row.env, row.quality)
    recording = _recorded(request, row, "collected", request.steps or row.collected_steps, policies)
    file, steps = recording.path, recording.details["steps"]
    collecting = partial(collect.collect, row.env, row.quality, file, steps, request.seed, request.physics)
    make_once(file, collecting, WHOLE)
    return recording


def _demonstrated(request: Request, row: DatasetRow) -> Recording:
    """What an expert of the task's family plays."""
    version = interface.version(row.environment)
    episodes = row.collected_episodes if request.steps is None else 0
    amount = {"episodes": episodes} if episodes else {"steps": request.steps or row.collected_steps}
    size = f"{episodes}-episodes" if episodes else str(amount["steps"])
    if row.after_success is not None:
        amount["after_success"] = row.after_success
        size += f"-cut-{row.after_success}-after-success"
    file = f"{path_name(row.name)}-{size}-seed{request.seed}-{path_name(version)}.hdf5"
    recording = Recording(
        row,
        "collected",
        data_folder(request.data_dir) / "collected" / file,
        details={"seed": request.seed, "expert": version, **amount},
    )

    def collect() -> None:
        from sources import demonstrate

        demonstrate.collect(row.name, recording.path, request.steps, request.seed)

    make_once(recording.path, collect, WHOLE)
    return recording


def _recorded(request: Request, row: DatasetRow, source: str, steps: int, policy: str) -> Recording:
    """A recording made here; its file may not be there yet."""
    name = f"{path_name(row.name)}-{request.physics}-{steps}-seed{request.seed}-{policy[:12]}.hdf5"
    details = {"physics": request.physics, "seed": request.seed, "steps": steps, "policy": policy}
    return Recording(row, source, data_folder(request.data_dir) / source / name, details=details)


def _collected_atari(request: Request, row: DatasetRow) -> Recording:
    if not row.collected_steps:
        raise UserError(f"There is no player of {row.name} here: use --source dqn-replay, or --path with its files.")
    from sources import collect_atari

    steps, player = request.steps or row.collected_steps, collect_atari.player_digest(row.env.partition("?")[0])
    details = {"seed": request.seed, "steps": steps, "policy": player, "rewards": "as the game's score"}
    name = f"{path_name(row.name)}-{steps}-seed{request.seed}-{player[:12]}"
    folder = data_folder(request.data_dir) / "collected" / name
    make_once(folder, lambda: collect_atari.collect(row.env, folder, steps, request.seed), WHOLE_FOLDER)
    return _replay(row, "collected", folder, details, dqn_replay.Selection())


def _dqn_replay(request: Request, row: DatasetRow) -> Recording:
    """DQN-replay's files, of which kzl's number of steps is selected; the user's own files likewise."""
    if row.format != "dqn_replay" or row.path is None:
        raise UserError(f"DQN-replay holds Atari's games, and not {row.name}: {other_source(row)}")
    if request.path is not None:
        folder = dqn_replay.folder_of(request.path, row.path.partition("/")[0])
    else:
        folder = dqn_replay_download.fetched(data_folder(request.data_dir), row, request.replay_checkpoints)
    selection = dqn_replay_download.selection(request.replay_steps, request.replay_checkpoints, request.seed)
    amount = {"replay_steps": selection.steps, "replay_checkpoints": selection.checkpoints}
    details = {**amount, "checkpoints_below": selection.below, "seed": selection.seed, "rewards": "as in the files"}
    return _replay(row, "dqn-replay", folder, details, selection)


def _replay(
    row: DatasetRow, source: str, folder: Path, details: dict[str, Any], selection: dqn_replay.Selection
) -> Recording:
    """Files in DQN-replay's layout."""
    details = {**details, "environment": row.environment.options}
    return Recording(row, source, folder, "dqn_replay", details, selection)


def _folder(request: Request, row: DatasetRow) -> Recording:
    """A folder given with --path: JAT's files, a LeRobot data set, or a Minari one, of any version of Minari's.

    Raises:
        DatasetError: it is none; the message lists what is in the folder.
    """
    assert request.path is not None
    if jat.folder_of(request.path, jat_names.configuration(row)):
        return _jat(request, row)
    if (request.path / lerobot.INFO).is_file():
        return Recording(row, "file", request.path / lerobot.INFO)
    old = request.path / "data" / "main_data.hdf5"
    if old.is_file() and not minari_folders.folder_of(request.path):
        if not own_parts(row.name):
            raise DatasetError(
                f"{request.path} has no data/{minari_folders.METADATA}, like those that minari wrote before 0.5, and "
                f"does not say in which environment it was recorded: add --task."
            )
        return Recording(row, "file", old)
    return _minari(request, row)


def _minari(request: Request, row: DatasetRow) -> Recording:
    """A Minari data set, in the environment that its own metadata name, unless the name or --task has another."""
    own = own_parts(row.name)
    if request.path is not None:
        folder = minari_folders.folder_of(request.path)
    elif own or row.minari:
        folder = minari_folders.find(own[0] if own else row.minari or row.name)
    else:
        raise UserError(f"Minari has no {row.name} that is known here: name it by its id, or its folder with --path.")
    if folder is None:
        raise cannot_be_read(request.path or minari_folders.root())
    played = row.environment if own else recorded_in(folder)
    if request.path is None:
        name = str(folder.relative_to(minari_folders.root()))
        row = replace(row, name=f"{name}{OWN}{row.env}" if own else name, environment=played)
    elif played.name != row.env:
        raise UserError(f"{folder} was recorded in {played.name}, not in {row.env}: add --task {played.name!r}.")
    return Recording(row, "minari", folder, "minari")


def _jat(request: Request, row: DatasetRow) -> Recording:
    """A generalist's demonstrations. Where rewards are clipped, as Atari's, the data say so (loading.py)."""
    configuration = jat_names.configuration(row)
    if request.path is not None:
        if (folder := jat.folder_of(request.path, configuration)) is None:
            below = f", nor does {configuration} below it" if configuration else ""
            raise UserError(f"{request.path} holds no {jat.FILES}{below}: give the folder of JAT's files with --path.")
    elif configuration is None:
        raise UserError(f"JAT has no {row.name}: {other_source(row)}")
    else:
        folder = jat_download.fetched(data_folder(request.data_dir), configuration)
    details = {"rewards": "as in the files"} if row.environment.family == "atari" else {}
    return Recording(row, "jat", folder, "jat", details)


def _package(request: Request, row: DatasetRow) -> Recording:
    """No recording is a package: what is answered never comes here.

    Raises:
        UserError: always.
    """
    raise UserError(f"{row.name} is recorded, and in no package: {other_source(row)}")


SOURCES: dict[str, Callable[[Request, DatasetRow], Recording]] = {
    "auto": _auto,
    "d4rl": _d4rl,
    "reroll": _reroll,
    "collected": _collected,
    "minari": _minari,
    "dqn-replay": _dqn_replay,
    "jat": _jat,
    "package": _package,
}
