"""A model that begins with another run's weights, and learns from a few demonstrations."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import run
from gato import Config, Gato
from gato.model import NORMALIZING
from report.store import Record, read_all
from tests.answers import pairs
from tests.toys import MISSION, POINT, SMALL, SMALL_ON_PARTS, walk
from training import run as training_run
from training.checkpoint import begin_with, load_model, save_model, save_rounded
from training.run_lock import ROUNDED, WEIGHTS
from training.settings import parse
from trajectories.errors import UserError
from trajectories.mixture import Mixture

TINY = [
    *("--model", "gato", "--source", "collected", "--steps", "400", "--updates", "3", "--episodes", "2"),
    *("--batch-size", "8", "--width", "16", "--heads", "2", "--head-width", "8", "--hidden", "32", "--threads", "1"),
]


def ran(folder: Path, *more: str) -> list[Record]:
    run.main([*TINY, "--results-dir", str(folder), *more])
    return read_all(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gato of two tasks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJECTORIES_DIR", str(tmp_path_factory.mktemp("data")))
        folder = tmp_path_factory.mktemp("runs")
        ran(folder, "--env", "toy-medium", "toy-random")
        (made,) = folder.iterdir()
        return made


def test_a_started_run_has_the_weights_and_the_settings_of_the_other(finished: Path, tmp_path: Path) -> None:
    words = ["--model", "gato", "--env", "toy-expert", "--source", "collected", "--steps", "400", "--episodes", "2"]
    run.main([*words, "--start", str(finished), "--updates", "0", "--results-dir", str(tmp_path)])
    (made,) = tmp_path.iterdir()
    ours, theirs = load_model(made), load_model(finished)
    assert ours.config == theirs.config
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter, dict(theirs.named_parameters())[name])
    (record,) = read_all(tmp_path)
    assert (record.updates, record.config["run"]["start"]) == (0, finished.name)


def test_a_run_starts_with_rounded_weights_where_there_are_no_others(finished: Path, tmp_path: Path, capsys) -> None:
    there = Path(shutil.copytree(finished, tmp_path / "there" / finished.name))
    save_rounded(there, load_model(there))
    (there / WEIGHTS).unlink()
    words = ["--model", "gato", "--env", "toy-expert", "--source", "collected", "--steps", "400", "--episodes", "2"]
    run.main([*words, "--start", str(there), "--updates", "0", "--results-dir", str(tmp_path / "here")])
    assert f"{there / ROUNDED}: weights rounded to bfloat16" in capsys.readouterr().out
    (made,) = (tmp_path / "here").iterdir()
    theirs = dict(load_model(finished).named_parameters())
    for name, parameter in load_model(made).named_parameters():
        assert torch.equal(parameter, theirs[name].to(torch.bfloat16).float())


def test_layers_of_vectors_keep_the_normalization_that_they_were_learned_with(tmp_path: Path) -> None:
    ran(tmp_path / "first", "--env", "toy-random", "--vectors", "embedded")
    (there,) = (tmp_path / "first").iterdir()
    ran(tmp_path / "second", "--env", "toy-expert", "--start", str(there), "--vectors", "embedded", "--updates", "1")
    (here,) = (tmp_path / "second").iterdir()
    theirs = {name: value for name, value in load_model(there).named_buffers() if name.startswith(NORMALIZING)}
    assert [name.rpartition(".")[2] for name in theirs] == ["mean", "deviation"]
    ours = dict(load_model(here).named_buffers())
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_a_layer_that_does_not_fit_keeps_no_normalization(tmp_path: Path) -> None:
    ran(tmp_path / "first", "--env", "toy-random", "--vectors", "embedded")
    (there,) = (tmp_path / "first").iterdir()
    model = Gato(Config(vectors="embedded", width=32), replace(POINT, observation_shape=(2,)))
    assert list(model.inherited(load_model(there).state_dict())) == []


def test_a_model_is_calibrated_with_the_weights_that_it_begins_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Trajectory Transformer of images makes its codes while it is calibrated."""
    order: list[str] = []

    def begins(*_: object) -> int:
        order.append("begins")
        return 0

    monkeypatch.setattr(training_run, "begin_with", begins)
    monkeypatch.setattr(training_run, "keep_calibration", lambda model, start: order.append("keeps"))
    monkeypatch.setattr(Gato, "calibrate", lambda model, data: order.append("calibrated"))
    settings = parse([*TINY, "--env", "toy-medium"])
    settings = replace(settings, run=replace(settings.run, start="another"))
    training_run.build(settings, walk((5, 6)), torch.device("cpu"), tmp_path / "none")
    assert order == ["begins", "calibrated", "keeps"]


def test_a_started_run_goes_on_learning(finished: Path, tmp_path: Path) -> None:
    ran(tmp_path, "--env", "toy-expert", "--start", str(finished))
    (made,) = tmp_path.iterdir()
    ours, theirs = load_model(made), load_model(finished)
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    assert not all(torch.equal(one, other) for one, other in pairs)


def test_demonstrations_are_so_many_episodes_and_a_row_of_their_own(tmp_path: Path) -> None:
    (record,) = ran(tmp_path, "--env", "toy-medium", "--demonstrations", "3")
    assert record.behavior.episodes == 3
    assert record.config["run"]["demonstrations"] == 3


def test_a_longer_draw_of_demonstrations_holds_a_shorter_one() -> None:
    data = walk(range(1, 31))
    few, more = (set(data.drawn(count, seed=1).returns.tolist()) for count in (4, 9))
    assert few < more
    assert not np.array_equal(data.drawn(4, seed=1).returns, data.drawn(4, seed=2).returns)


def test_more_demonstrations_than_there_are_is_an_error() -> None:
    with pytest.raises(UserError, match="finished episodes, and not 99: draw fewer"):
        walk(range(1, 31)).drawn(99, seed=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--updates", "0"), "nothing is learned"),
        (("--start", "results/runs/none"), "no weights of such a run"),
    ],
)
def test_a_start_that_cannot_be_is_one_sentence(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(["--model", "gato", "--env", "toy-medium", *words])


def test_another_models_weights_are_refused(finished: Path, tmp_path: Path) -> None:
    card = json.loads((finished / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(card | {"model": "dt"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="is a run of dt, and not of gato"):
        parse(["--model", "gato", "--env", "toy-medium", "--start", str(tmp_path)])


@pytest.mark.parametrize("fitted", [True, False])
def test_texts_are_read_with_the_pieces_whose_rows_are_taken_over(fitted: bool, tmp_path: Path) -> None:
    """Where only one of both runs answers, its pieces are fitted and the other's are not: the same ids, other texts."""
    missions = walk((5, 6), spec=MISSION)
    both = Mixture((missions, pairs()))
    first, second = (both, missions) if fitted else (missions, both)
    config = Config(**SMALL["gato"], **SMALL_ON_PARTS["gato"])  # type: ignore[arg-type]
    there, here = Gato(config, first.spec), Gato(config, second.spec)
    there.calibrate(first)
    save_model(tmp_path, "gato", there)
    begin_with(here, str(tmp_path))
    here.calibrate(second)
    assert here.texts.tokenizer.digest == there.texts.tokenizer.digest
    save_model(tmp_path / "again", "gato", here)
    again = load_model(tmp_path / "again")
    assert isinstance(again, Gato)
    assert again.texts.tokenizer.digest == there.texts.tokenizer.digest
