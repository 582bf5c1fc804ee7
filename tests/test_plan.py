"""One trained Trajectory Transformer under several settings of its planner, and the page about it."""

import json
import shutil
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments import plan, report, run
from report import figures, plans, store, table
from tests.toys import CHOICES, POINT, SCREEN, SMALL, SMALL_ON_IMAGES
from training import replay
from training.checkpoint import load_model
from training.registry import MODELS, find
from trajectories.errors import UserError
from trajectories.types import Spec
from trajectory_transformer.model import TrajectoryTransformer
from trajectory_transformer.player import BeamPlayer

QUICK = (
    *("--model", "tt", "--env", "toy-medium", "--source", "collected", "--steps", "300", "--updates", "6"),
    *("--episodes", "3", "--batch-size", "4", "--threads", "1", "--width", "16", "--layers", "1", "--bins", "10"),
    *("--horizon", "1", "--beam-width", "2", "--plan-every", "1"),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJECTORIES_DIR", str(tmp_path_factory.mktemp("data")))
        runs = tmp_path_factory.mktemp("runs")
        run.main([*QUICK, "--results-dir", str(runs)])
    (made,) = runs.iterdir()
    return made


@pytest.fixture
def finished(original: Path, tmp_path: Path) -> Path:
    """A run of its own for each test, in a repository of its own."""
    return Path(shutil.copytree(original, tmp_path / "results" / "runs" / original.name))


def measure(finished: Path, *words: str) -> tuple[plans.Planned, ...]:
    plan.main(*plan.parse([str(finished), "--threads", "1", "--checkpoint-seconds", "0", *words]))
    return plans.read(finished).cells


def outcomes(cells: tuple[plans.Planned, ...]) -> list[tuple[int, int, store.Evaluation]]:
    return [(each.settings["horizon"], each.settings["plan_every"], each.played) for each in cells]


def test_a_grid_is_every_combination_but_the_run_s_own_on_its_own_episodes(finished, monkeypatch):
    played, evaluate = [], replay.evaluate
    monkeypatch.setattr(replay, "evaluate", lambda model, *rest: played.append(model.config) or evaluate(model, *rest))
    cells = measure(finished, "--horizon", "1", "2", "--plan-every", "2", "1")
    assert [each[:2] for each in outcomes(cells)] == [(1, 2), (2, 2), (2, 1)]
    assert [(each.horizon, each.plan_every) for each in played] == [(1, 2), (2, 2), (2, 1)]
    record = store.read_record(finished)
    model = load_model(finished)
    with replay.replay(record, model, 3) as again:
        assert again.play("playing") == record.evaluations[0]
        model.config = replace(model.config, horizon=2)  # type: ignore[call-arg]
        assert again.play("playing") == cells[-1].played != record.evaluations[0]


def test_the_same_command_prints_what_is_kept_even_without_weights(finished, monkeypatch, capsys):
    measure(finished, "--horizon", "2", "--episodes", "2")
    before = (finished / plans.PLANS).read_bytes()
    (finished / "model.safetensors").unlink()
    monkeypatch.setattr(plan, "measure", lambda *_: pytest.fail("it was measured again"))
    capsys.readouterr()
    measure(finished, "--horizon", "2", "--episodes", "2", "--plan-memory", "0.5")  # which changes no plan
    assert "1 of them measured already" in (output := capsys.readouterr().out)
    measure(finished)
    assert output.splitlines()[1:] == capsys.readouterr().out.splitlines()[1:]
    assert [line.split(" | ")[3] for line in output.splitlines()[-2:]] == ["1", "2"]  # the run's own horizon first
    assert (finished / plans.PLANS).read_bytes() == before


def test_a_killed_grid_goes_on_within_an_episode_and_ends_the_same(finished, tmp_path, monkeypatch, capsys):
    whole = Path(shutil.copytree(finished, tmp_path / "whole"))
    words = ("--horizon", "2", "3")
    act, acted = BeamPlayer.act, []

    def interrupted(*arguments: Any) -> Any:
        acted.append(1)
        if len(acted) == 30:  # in the tenth step of the second setting
            raise KeyboardInterrupt
        return act(*arguments)

    monkeypatch.setattr(BeamPlayer, "act", interrupted)
    with pytest.raises(SystemExit, match="130"):
        measure(finished, *words)
    assert "Run the same command again" in capsys.readouterr().err
    assert [each.settings["horizon"] for each in plans.read(finished).cells] == [2]
    cells = measure(finished, *words)
    assert len(acted) == 30 + 20 - 9 + 1  # one step to learn what a player remembers
    assert outcomes(cells) == outcomes(measure(whole, *words))
    assert sorted(each.name for each in finished.iterdir()) == sorted(
        [plans.PLANS, "curve.csv", "model.json", "model.safetensors", store.RECORD]
    )


def test_plans_by_numbers_that_were_changed_since_the_record_are_announced(finished, monkeypatch, capsys):
    monkeypatch.setattr(TrajectoryTransformer, "NUMERICS", TrajectoryTransformer.NUMERICS + 1)
    measure(finished, "--horizon", "2")
    assert "Beware: the numbers of tt were changed since" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bins", "20"], "--bins decides the weights"),
        (["--learning-rate=1"], "--learning-rate decides the weights"),
        (["--horizn", "2"], "did you mean --horizon"),
        (["--horizon", "0"], "--horizon is 0"),
        (["--planning-context", "1"], "--planning-context is 1"),
        (["--random-actions", "0.1"], "--random-actions is for runs on images"),
        (["--horizon", "2", "--episodes", "0"], "--episodes is 0"),
        ([], "give options of the planner"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_played(finished, words, message, monkeypatch):
    monkeypatch.setattr(replay, "evaluate", lambda *_: pytest.fail("it was played"))
    with pytest.raises(UserError, match=message):
        measure(finished, *words)
    assert not (finished / plans.PLANS).exists()


def test_a_model_that_does_not_plan_is_refused(finished):
    path = finished / store.RECORD
    row = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(row | {"model": "bc"}))
    with pytest.raises(UserError, match="bc does not plan"):
        measure(finished, "--horizon", "2")


@pytest.mark.parametrize("spec", [POINT, CHOICES, SCREEN], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", [name for name in MODELS if find(name).trained])
def test_options_of_acting_leave_the_weights_as_they_are(name: str, spec: Spec) -> None:
    entry = find(name, spec)
    more = SMALL_ON_IMAGES.get(name, {}) if entry.of_images else {}
    config = entry.config(**SMALL[name] | more)  # type: ignore[arg-type]
    assert set(config.acting) <= {each.name for each in fields(config)}
    other = {  # another value of the same kind
        each: not value if isinstance(value, bool) else value / 2 if isinstance(value, float) else value + 1
        for each in config.acting
        if not isinstance(value := getattr(config, each), str)
    }
    weights = []
    for settings in (config, replace(config, **other)):
        torch.manual_seed(0)
        weights.append(entry.model(settings, spec).state_dict())
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


# ---- the report ------------------------------------------------------------------------------------------------------


def made_up_plans(finished: Path, *horizons: int) -> plans.Plans:
    record = store.read_record(finished)
    settings = {"horizon": 1, "plan_every": 1, "plan_memory": 1.0}
    common: dict[str, Any] = {"seconds": 3.0, "device": "cpu", "threads": 1, "versions": {}, "commit": "c" * 40}
    cells = [
        plans.Planned(settings=settings | {"horizon": each}, played=record.evaluations[0], dirty=False, **common)
        for each in horizons
    ]
    plans.write(finished, plans.Plans(tuple(cells)))
    return plans.read(finished)


def test_the_report_has_a_line_and_a_point_for_each_setting_and_a_command(finished):
    made_up_plans(finished, 5, 15)
    (measured,) = plans.read_all(finished.parent)
    shown = plans.table([measured])
    assert shown.header[:5] == ("Data set", "Source", "Seed", "Horizon", "Return")  # the only one that differs
    assert [row[3].main for row in shown.rows] == ["1", "5", "15"]
    score = store.read_record(finished).evaluations[0].normalized
    points = plans.points([measured])
    assert [words for words, *_ in points] == ["horizon 1", "horizon 5", "horizon 15"]
    assert all(seed == 0 and mean == pytest.approx(score) for _, seed, mean, _ in points)
    files = report.texts(report.Options(finished.parent), table.report([]), [])
    page = next(text for path, text in files.items() if path.name == plans.PAGE)
    assert f"`python experiments/plan.py results/runs/{finished.name} --horizon 15` (commit ccccccc)" in page
    drawn = figures.draw(finished.parent / "figures", {}, table.report([measured[0]]), [measured])
    assert "planner-toy-medium-collected" in [path.stem for path in drawn]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"horizon": "`rm`"}},
        {"settings": {"a b": 1}},
        {"settings": {"horizon": [5]}},
        {"commit": "; ls"},
        {"played": None},
        {"seconds": "1"},
    ],
)
def test_damaged_plans_are_named_and_left_out(finished, change, capsys):
    (cell,) = made_up_plans(finished, 5).cells
    path = finished / plans.PLANS
    path.write_text(json.dumps({"cells": [asdict(cell) | change]}))
    assert plans.read_all(finished.parent) == []
    assert f"Left out: {path}: damaged (" in capsys.readouterr().err


def test_a_setting_that_was_measured_twice_is_damage(finished):
    (cell,) = made_up_plans(finished, 5).cells
    plans.write(finished, plans.Plans((cell, cell)))
    with pytest.raises(UserError, match="each measured once"):
        plans.read(finished)
