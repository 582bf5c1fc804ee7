"""The Python API: five calls, from any folder."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import trajectory_models
from training.run_lock import ROUNDED
from training.start import RUNS
from trajectories.errors import UserError
from trajectories.mixture import Mixture
from trajectory_models import evaluate, load, load_model, load_results, train

# A record of this repository whose weights git does not have
WITHOUT_WEIGHTS = next(
    card.parent for card in sorted(RUNS.glob("*/model.json")) if not (card.parent / ROUNDED).exists()
)
SMALL = {"updates": 3, "width": 16, "batch_size": 4, "precision": "fp32"}


def test_a_notebook_trains_and_evaluates_a_model_in_three_calls() -> None:
    data = load("toy-medium")
    model = train("bc", data, **SMALL)
    scores = evaluate(model, "toy-medium", episodes=3)
    assert scores.returns.shape == scores.lengths.shape == scores.normalized.shape == (3,)
    np.testing.assert_allclose(scores.normalized, 100 * scores.returns / 20)
    assert repr(scores).startswith("Scores(3 episodes: return ")


def test_the_same_seed_trains_the_same_model() -> None:
    data = load("toy-medium")
    one, again, other = (
        evaluate(train("dt", data, **SMALL, seed=seed), "toy-medium", episodes=2) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.returns, again.returns)
    assert not np.array_equal(one.returns, other.returns)


def test_a_model_plays_with_the_given_target_return(monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[float] = []
    model = train("dt", load("toy-medium"), **SMALL)
    player = model.player

    def record_target(episodes: int, target_return: float, seed: int = 0) -> object:
        targets.append(target_return)
        return player(episodes, target_return, seed)

    monkeypatch.setattr(model, "player", record_target)
    evaluate(model, "toy-medium", episodes=1)
    evaluate(model, "toy-medium", episodes=1, target_return=7.5)
    assert targets == [18.0, 7.5]


def test_one_gato_learns_a_mixture_and_is_evaluated_on_each_task() -> None:
    data = Mixture((load("toy-medium"), load("toy-expert")))
    model = train("gato", data, **SMALL, heads=2, head_width=8, hidden=16)
    assert evaluate(model, "toy-expert", episodes=2).returns.shape == (2,)
    with pytest.raises(UserError, match="bc learns one task, and the mixture has toy-medium, toy-expert"):
        train("bc", data, **SMALL)


def test_training_goes_on_in_the_folder_that_it_is_given(tmp_path: Path) -> None:
    data = load("toy-medium")
    train("bc", data, folder=tmp_path, **SMALL)
    assert (tmp_path / "state.safetensors").exists()
    longer = train("bc", data, folder=tmp_path, **{**SMALL, "updates": 6})
    whole = train("bc", data, **{**SMALL, "updates": 6})
    for ours, theirs in zip(longer.parameters(), whole.parameters(), strict=True):
        np.testing.assert_array_equal(ours.detach(), theirs.detach())


def test_the_recorded_runs_are_a_data_frame() -> None:
    frame = load_results()
    assert isinstance(frame, pd.DataFrame)
    assert {"dt", "tt", "gato", "bc"} <= set(frame["model"])
    row = frame[(frame.model == "dt") & (frame.dataset == "hopper-medium") & (frame.source == "reroll")].iloc[0]
    assert row["return_mean"] == pytest.approx(np.mean(row["returns"]))
    assert len(row["returns"]) == row["episodes"] == 100


def test_an_empty_folder_of_results_is_an_empty_frame(tmp_path: Path) -> None:
    assert load_results(tmp_path).empty
    with pytest.raises(UserError, match="there is no such folder of runs"):
        load_results(tmp_path / "rnus")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda data: train("dtt", data), "no model called 'dtt'"),
        (lambda data: train("dt", data, widht=3), "did you mean width"),
        (lambda data: train("dt", data, preset="papers"), "no preset called 'papers'"),
        (lambda data: train("dt", data, updates=-3), "--updates is -3"),
        (lambda data: train("dt", data, width=0), "--width is 0"),
        (lambda data: train("dt", data, fraction_best=0.1), r"no option 'fraction_best' in Python: .* data.best"),
        (lambda data: train("dt", data, updates=2.5), "updates is 2.5, and has to be like"),
        (lambda data: train("dt", data, learning_rate="fast"), "learning_rate is 'fast', and has to be like 0.0008"),
        (lambda data: train("dt", "toy-medium"), "train takes data and not 'toy-medium': load them first"),
        (
            lambda data: train("bc", data, folder="/proc/nowhere", **SMALL),
            "/proc/nowhere cannot be written .*: choose another folder with folder",
        ),
        (lambda data: evaluate("dt", "toy-medium"), "evaluate takes a model and not 'dt'"),
        (lambda data: evaluate(train("bc", data, **SMALL), "toy-medium", episodes=0), "episodes is 0"),
        (lambda data: evaluate(train("bc", data, **SMALL), "toy-medium", physics="real"), "physics is 'real'"),
        (
            lambda data: evaluate(train("bc", data, **SMALL), "toy-medium", target_return=5),
            "target_return is 5, and this model takes none",
        ),
        (lambda data: evaluate(train("bc", data, **SMALL), "hopper-medium", episodes=1), "observation_shape is "),
        (lambda data: load("toy-mediun"), "did you mean toy-medium"),
        (lambda data: load_model("nowhere"), "There is no run nowhere: give the folder"),
        (lambda data: load_model(WITHOUT_WEIGHTS), "there is no model.safetensors here; git has the weights of few"),
    ],
)
def test_a_wrong_call_is_answered_in_one_sentence(call: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        call(load("toy-medium"))  # type: ignore[operator]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, trajectory_models; print(*(m for m in ('torch', 'numpy', 'pandas') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert dir(trajectory_models) == sorted(trajectory_models.__all__)
