"""Names of data sets, runs and tasks: whatever they hold, they stay in their folder and stand for themselves."""

from pathlib import Path

import pytest

from experiments import data
from report.store import run_name
from sources import export, inventory
from sources.loading import Request, load
from tests.recordings import made_up, table, write_d4rl
from training.run import recorded
from trajectories.errors import UserError
from trajectories.names import file_name, path_name, plain_name
from trajectories.types import Spec

TOY = Spec("toy", observation_shape=(2,), action_shape=(1,), max_episode_steps=20)
ODD = ("../../x", "/etc/x", "..", ".", "", "odd [a]*", "a\nb", "a\0b", "x" * 500, "数" * 200, "a:b", "$HOME", "-x", "~")


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_a_file_in_its_folder_and_no_pattern(name: str, tmp_path: Path) -> None:
    called = file_name(name)
    (tmp_path / called).write_text("")
    assert [path.name for path in tmp_path.iterdir()] == [called]
    assert list(tmp_path.glob(called)) == [tmp_path / called]
    assert called[0] not in ".-~"
    assert len(called.encode()) < 200
    assert (tmp_path / path_name(name)).resolve().is_relative_to(tmp_path)


def test_different_names_are_different_files() -> None:
    assert len({file_name(name) for name in (*ODD, "odd -a-", "a-b", "a/b", "a b", "x" * 501)}) == len(ODD) + 5


@pytest.mark.parametrize("name", ["hopper-medium", "mine@Hopper-v4", "antmaze-umaze-v0", "toy_1.2+b", "数据"])
def test_a_name_that_may_be_a_files_is_one(name: str) -> None:
    assert file_name(name) == path_name(name) == plain_name(name) == name


def test_a_minari_id_stays_a_path() -> None:
    assert path_name("D4RL/door/human-v2") == "D4RL/door/human-v2"


def test_the_names_of_runs_are_as_they_were() -> None:
    assert run_name("dt", "hopper-medium", "reroll", 1, "0123456789") == "dt-hopper-medium-reroll-s1-01234567"
    assert run_name("bc", "D4RL/pen/human-v2", "minari", 0, "a" * 64) == "bc-D4RL-pen-human-v2-minari-s0-aaaaaaaa"
    assert run_name("bc", 'x@Hopper-v4?{"a": 1}', "file", 0, "a" * 64) == "bc-x@Hopper-v4-a-1--file-s0-aaaaaaaa"


def test_a_task_of_several_does_not_lead_out_of_the_run(tmp_path: Path) -> None:
    places = recorded(tmp_path, ["../../x@toy", "toy-medium"])
    assert [place.parent for place in places] == [tmp_path, tmp_path]
    assert places[1].name == "toy-medium"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_d4rl(tmp_path / "own.hdf5", table(made_up([10, 10], TOY)))


def test_data_under_an_odd_name_are_kept_in_the_cache_and_found_there_again(own: Path, tmp_path: Path) -> None:
    cache = tmp_path / "inside" / "cache"
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(cache)}
    for name in ("../../x@toy", "odd [a]*@toy", "odd aa@toy", "x" * 300 + "@toy"):
        load(Request(name, path=own, data_dir=cache))
        assert len(inventory.kept(cache, name)) == 1
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(cache)} - before == {tmp_path / "inside"}
    data.main(["remove", "odd [a]*@toy", "--data-dir", str(cache)])
    assert [len(inventory.kept(cache, name)) for name in ("odd [a]*@toy", "odd aa@toy")] == [0, 1]


@pytest.mark.parametrize("name", ["../../x-v0", "/etc/x-v0", "a/../../x-v0", "a b-v0"])
def test_a_minari_id_that_leads_elsewhere_is_refused(own: Path, name: str, tmp_path: Path) -> None:
    loaded = load(Request("x@toy", path=own))
    with pytest.raises(UserError, match="is no name for a Minari data set"):
        export.to_minari(loaded, name, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_exports_and_pictures_of_odd_names_are_written_where_they_belong(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data.main(["export", "../../x@toy", "--path", str(own), "--to", "d4rl"])
    data.main(["export", "../x@toy", "--path", str(own), "--out", str(tmp_path / "minari")])
    assert [path.name for path in tmp_path.glob("*-file.hdf5")] == ["_..-..-x@toy-file.hdf5"]
    assert len(list((tmp_path / "minari").rglob("metadata.json"))) == 1
