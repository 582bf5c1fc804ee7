"""The user's own files are named with their environment, wherever they lie; the message names a missing option."""

import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import data as verbs
from sources import export
from sources.loading import Request, load
from training.cli import exit_on_user_error
from training.settings import parse
from trajectories.catalog import dataset
from trajectories.errors import UserError
from trajectories.own_names import own_parts
from trajectories.types import Trajectories


def toy() -> Trajectories:
    return load(Request("toy-medium", "collected", steps=60))


def toy_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return export.to_d4rl(toy(), path)


def test_a_file_without_its_environment_is_answered_with_task(tmp_path: Path) -> None:
    path = toy_file(tmp_path / "mine.hdf5")
    expected = f"--path {path} does not say in which environment .*: add --task, as --task Hopper-v4, or .* --env"
    with pytest.raises(UserError, match=expected):
        parse(["--path", str(path)])
    with pytest.raises(UserError, match=expected):
        verbs.main(["show", "--path", str(path)])
    assert parse(["--path", str(path), "--env", "toy-medium"]).run.env == ("toy-medium",)
    assert parse(["--path", str(path), "--source", "d4rl"]).run.env == ("hopper-medium",)
    with pytest.raises(UserError, match="the environment's have 11: name the environment of this file with --task"):
        load(Request("hopper-medium", path=path))


def test_task_without_a_file_or_with_several_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"--task toy is the environment in which a file of yours .*: name it with --path"
    ):
        parse(["--task", "toy"])
    with pytest.raises(UserError, match="give one --path, and one --env at most"):
        parse(["--task", "toy", "--path", "a.hdf5", "b.hdf5"])
    with pytest.raises(UserError, match="mine@hopper and --task toy name two environments: leave one out"):
        parse(["--task", "toy", "--path", "a.hdf5", "--env", "mine@hopper"])
    assert parse(["--task", "toy", "--path", "a.hdf5", "--env", "mine@toy"]).run.env == ("mine@toy",)


@pytest.mark.parametrize("name", ["a@b", "a@toy@hopper", "what?", "two words"])
def test_any_files_name_keeps_its_environment(tmp_path: Path, name: str) -> None:
    path = toy_file(tmp_path / f"{name}.hdf5")
    [named] = parse(["--path", str(path), "--task", "toy"]).run.env
    assert dataset(named).env == "toy"
    assert load(Request(named, path=path)).origin.digest == toy().origin.digest


def test_an_at_sign_in_an_environments_options_belongs_to_them() -> None:
    assert own_parts('a@b@Hopper-v4?{"by": "x@y"}') == ("a@b", 'Hopper-v4?{"by": "x@y"}')
    assert own_parts('Hopper-v4?{"by": "x@y"}') is None
    assert own_parts("hopper-medium") is None


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    toy_file(tmp_path / "data" / "mine.hdf5")
    assert len(load(Request("mine@toy", path=Path("~/data/mine.hdf5")))) == 60
    monkeypatch.setattr(sys, "argv", ["run.py", "--path=~/data/mine.hdf5", "--results-dir", "~", "a~/b", "x=y~"])
    with exit_on_user_error():
        assert sys.argv[1:] == [f"--path={tmp_path}/data/mine.hdf5", "--results-dir", str(tmp_path), "a~/b", "x=y~"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["mine.hdf5", "notes.txt"], "is a folder: give the file in it, --path {folder}/mine.hdf5"),
        (["a.npz", "b.pkl"], "is a folder that holds a.npz, b.pkl: give one of these files with --path"),
        (["mine/toy-v0/data/metadata.json"], "holds Minari's data sets mine/toy-v0: give the folder of one"),
        (["$store$_action_ckpt.0.gz"], "holds DQN-replay's files: name their game with --env"),
        (["notes.txt"], "is a folder without a data set: give a file that ends in .hdf5"),
    ],
)
def test_a_folder_is_answered_with_what_is_in_it(tmp_path: Path, files: list[str], message: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(np.zeros(3).tobytes())
    with pytest.raises(UserError) as caught:
        load(Request("mine@toy", path=tmp_path))
    assert f"{tmp_path} {message.format(folder=tmp_path)}" in str(caught.value)
