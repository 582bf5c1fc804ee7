"""The column cache gives back what was put in, whole or not at all; and every source lands in it."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sources import collect, loading, locate
from sources.fetch import FetchError, Published
from sources.loading import Request, describe, load
from sources.recording import Recording
from tests.recordings import SPEC, made_up, table, write_d4rl
from trajectories import store
from trajectories.catalog import dataset
from trajectories.disk import data_folder
from trajectories.errors import DatasetError, UserError
from trajectories.formats import d4rl, own_files
from trajectories.rows import DatasetRow, EnvironmentRow
from trajectories.types import Spec, Trajectories

ROW = DatasetRow("made-up", EnvironmentRow("made-up", "toy", "", 50, (3,), (2,), (), 0.0, 1.0))
HOPPER = dataset("hopper-medium").environment.spec()


def written(path: Path, lengths: tuple[int, ...] = (6, 9), seed: int = 0, spec: Spec = SPEC) -> Path:
    return write_d4rl(path, table(made_up(lengths, spec, seed)))


def opened(cache: Path, file: Path) -> Trajectories:
    return loading.through_cache(Recording(ROW, "file", file), cache)


def refuses(*arguments: Any, **names: Any) -> Trajectories:
    raise AssertionError("the file was read again")


def test_what_is_stored_is_what_is_opened(tmp_path: Path) -> None:
    data = made_up([6, 9])
    store.save(tmp_path / "columns" / "a", data)
    found = store.load(tmp_path / "columns" / "a")
    for name in store.COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))
        assert getattr(found, name).dtype == getattr(data, name).dtype
    assert found.spec == data.spec
    assert found.origin.name == data.origin.name
    assert found.origin.digest == store.digest(data)


def test_opened_columns_are_memory_maps_viewed_as_plain_arrays(tmp_path: Path) -> None:
    store.save(tmp_path / "a", made_up([6, 9]))
    data = store.load(tmp_path / "a")
    assert type(data.observations) is np.ndarray
    assert isinstance(data.observations.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        data.rewards[0] = 1
    assert data.best(0.3).episodes == 1
    assert data.delayed().rewards[0] == 0


def test_a_file_is_read_once_while_it_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "a.hdf5")
    first = opened(tmp_path, file)
    monkeypatch.setattr(own_files, "read", refuses)
    assert opened(tmp_path, file).origin == first.origin


def test_a_changed_file_is_read_again_and_its_older_columns_go(tmp_path: Path) -> None:
    file = written(tmp_path / "a.hdf5")
    old = opened(tmp_path, file)
    written(file, (8, 8), seed=1)
    os.utime(file, ns=(time.time_ns(), time.time_ns() + 10**9))
    new = opened(tmp_path, file)
    assert new.origin.digest != old.origin.digest
    assert new.lengths.tolist() == [8, 8]
    assert len(list((tmp_path / "columns").iterdir())) == 1
    assert old.lengths.tolist() == [6, 9], "an open data set stays whole"


def test_the_digest_is_of_the_data_not_the_file(tmp_path: Path) -> None:
    same = [opened(tmp_path, written(tmp_path / name)).origin.digest for name in ("a.hdf5", "b.hdf5")]
    other = opened(tmp_path, written(tmp_path / "c.hdf5", seed=1)).origin.digest
    assert same[0] == same[1] != other
    data = made_up([6, 9])
    terminated = data.terminated.copy()
    terminated[5] = False
    changed = Trajectories.of(
        SPEC,
        data.origin,
        observations=data.observations,
        actions=data.actions,
        rewards=data.rewards,
        terminated=terminated,
        starts=data.starts,
    )
    assert store.digest(changed) != store.digest(data)


@pytest.mark.parametrize("damage", ["remove", "truncate", "garble"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    file = written(tmp_path / "a.hdf5")
    digest = opened(tmp_path, file).origin.digest
    folder = next((tmp_path / "columns").iterdir())
    column = folder / ("provenance.json" if damage == "garble" else "actions.npy")
    if damage == "remove":
        column.unlink()
    else:
        column.write_bytes(column.read_bytes()[:-30])
    assert opened(tmp_path, file).origin.digest == digest


def test_a_full_disk_leaves_nothing_and_says_how_much_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store._write

    def fills_up(path: Path, values: np.ndarray) -> None:
        if path.stem == "rewards":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, values)

    monkeypatch.setattr(store, "_write", fills_up)
    with pytest.raises(UserError, match=r"disk that holds .*columns is full: free .*MB there.*--data-dir"):
        opened(tmp_path, written(tmp_path / "a.hdf5"))
    assert not list((tmp_path / "columns").iterdir())


def test_too_little_room_is_noticed_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trajectories.atomic.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    monkeypatch.setattr(store, "_write", refuses)
    with pytest.raises(UserError, match="is full"):
        opened(tmp_path, written(tmp_path / "a.hdf5"))


def test_the_cache_folder_is_the_option_then_the_variable_then_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder(Path("/there")) == Path("/there")
    monkeypatch.setenv("TRAJECTORIES_DIR", "/named")
    assert data_folder() == Path("/named")
    monkeypatch.delenv("TRAJECTORIES_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert data_folder() == Path("/xdg/trajectories")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_folder() == Path.home() / ".cache" / "trajectories"


def test_collected_data_are_recorded_once_per_policy_seed_steps_and_physics(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(Request("toy-medium", source="collected", steps=200))
    again = load(Request("toy-medium", source="collected", steps=200))
    other_seed = load(Request("toy-medium", steps=200, source="collected", seed=1))
    monkeypatch.setattr(collect, "policies_digest", lambda environment, quality: "f" * 64)
    other_policy = load(Request("toy-medium", source="collected", steps=200))
    assert first.origin == again.origin
    assert other_seed.origin.digest != first.origin.digest
    assert other_policy.origin.details["policy"] == "f" * 64
    assert len(list((own_cache / "collected").glob("*.hdf5"))) == 3
    assert first.origin.source == "collected"
    assert len(first) == 200


@pytest.mark.parametrize("bytes_left", [0, 3000])
def test_a_recording_that_is_cut_off_is_recorded_again(bytes_left: int, own_cache: Path, capsys) -> None:
    whole = load(Request("toy-medium", "collected", steps=200))
    (file,) = (own_cache / "collected").glob("*.hdf5")
    os.truncate(file, bytes_left)
    assert load(Request("toy-medium", "collected", steps=200)).origin.digest == whole.origin.digest
    assert f"{file} is cut off: it is made again." in capsys.readouterr().out


def test_without_network_auto_says_so_and_collects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_network(*arguments: object) -> Path:
        raise FetchError("hopper_random-v2.hdf5", "no route")

    monkeypatch.setattr(locate, "fetch", no_network)
    monkeypatch.setitem(collect.__dict__, "collect", lambda *arguments: written(arguments[2], spec=HOPPER))
    monkeypatch.setattr(locate, "collectable", lambda row: True)
    data = load(Request("hopper-random"))
    output = capsys.readouterr().out.strip()
    assert output.count("\n") == 0
    assert "cannot be fetched (no route): using collected data" in output
    assert data.origin.source == "collected"
    with pytest.raises(FetchError, match="name your own copy with --path"):
        load(Request("hopper-random", source="d4rl"))
    monkeypatch.setattr(locate, "collectable", lambda row: False)
    with pytest.raises(FetchError):
        load(Request("hopper-random"))


def test_auto_prefers_the_d4rl_file_and_d4rl_is_fetched_once(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def network(urls: tuple[str, ...], destination: Path, known: Published) -> Path:
        fetched.append(urls)
        return written(destination, spec=HOPPER)

    monkeypatch.setattr(locate, "fetch", network)
    for source in ("auto", "d4rl", "auto"):
        assert load(Request("hopper-expert", source=source)).origin.source == "d4rl"
    assert fetched == [dataset("hopper-expert").urls]


def test_a_fetched_file_that_is_not_d4rls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "fetch", lambda urls, destination, known: written(destination, spec=HOPPER))
    with pytest.raises(DatasetError, match="is not D4RL's hopper-medium: its statistics differ"):
        load(Request("hopper-medium"))


def test_a_real_file_by_path_is_read_and_its_source_is_what_the_user_says(real: Path) -> None:
    path = real / "hopper_medium-v2.hdf5"
    own = load(Request("hopper-medium", path=path))
    named = load(Request("hopper-medium", source="d4rl", path=path))
    assert (own.origin.source, named.origin.source) == ("file", "d4rl")
    assert own.origin.digest == named.origin.digest
    assert own.lengths.tolist() == [470, 441]


def test_a_file_of_another_environment_is_refused(real: Path) -> None:
    with pytest.raises(DatasetError, match="have the shape 17, but the environment's have 11"):
        load(Request("hopper-medium", path=real / "walker2d_medium-v2.hdf5"))


def test_reroll_records_the_files_own_policy_and_shows_the_published_figures(real: Path) -> None:
    data = load(Request("hopper-medium", source="reroll", steps=600, path=real / "hopper_medium-v2.hdf5"))
    assert (data.origin.source, len(data)) == ("reroll", 600)
    assert data.origin.details["policy"] == d4rl.policy_digest(real / "hopper_medium-v2.hdf5")
    output = describe(data)
    assert "600 steps" in output
    assert "D4RL's own file, as published: 2,186 episodes, return 1422" in output


def test_reroll_of_a_file_without_a_policy_is_refused(real: Path) -> None:
    with pytest.raises(UserError, match="carries no behavior policy"):
        load(Request("hopper-random", source="reroll", path=real / "hopper_random-v1.hdf5"))


def test_the_description_counts_the_unfinished_episode() -> None:
    output = describe(load(Request("toy-random", "collected", steps=50)))
    assert "50 steps in 3 episodes (the last one unfinished, 10 steps)" in output


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("hoper-medium"), "did you mean hopper-medium"),
        (Request("hopper-medium", source="d4lr"), "no source called 'd4lr': did you mean d4rl"),
        (Request("hopper-medium", steps=5), "--steps 5 is for data recorded here"),
        (Request("toy-medium", source="collected", steps=0), "--steps 0 leaves nothing"),
        (Request("toy-medium", source="collected", steps=-3), "--steps -3 leaves nothing"),
        (Request("toy-medium", source="collected", path=Path("a.hdf5")), "cannot use --path a.hdf5"),
        (Request("toy-medium", source="d4rl"), "D4RL has no toy-medium"),
        (Request("hopper-medium", path=Path("absent.hdf5")), "no file absent.hdf5"),
        (Request("hopper-medium", source="reroll", path=Path("absent.hdf5")), "no file absent.hdf5"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_in_a_sentence(request_: Request, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(request_)
    assert "\n" not in str(caught.value)


def test_load_is_imported_from_the_package_and_other_names_are_not() -> None:
    from sources import load as front_door

    assert front_door is load
    with pytest.raises(ImportError, match="cannot import name 'lode'"):
        from sources import lode  # noqa: F401
