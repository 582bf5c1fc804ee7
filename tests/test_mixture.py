"""Several data sets, one set of weights: from the command line to the table, and back into an environment."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import play, prompts, run
from report import figures, store, table
from report import prompts as found
from report.grid import models, rows
from report.missing import missing
from sources import contact_sheet
from tests.records import made_up
from tests.toys import walk
from training import run as whole_run
from training import show_tasks
from training import train as training
from training.measure import episodes_of
from training.record import protocol
from training.settings import parse
from trajectories.catalog import dataset, environment
from trajectories.errors import UserError
from trajectories.mixture import Mixture
from trajectories.types import Spec

TASKS = ("toy-medium", "toy-expert")
SMALL = [
    *("--model", "gato", "--env", *TASKS, "--source", "collected", "--steps", "400", "--updates", "4"),
    *("--episodes", "2", "--batch-size", "8", "--width", "16", "--heads", "2", "--head-width", "8", "--hidden", "32"),
    *("--threads", "1"),
]


def ran(folder: Path, *more: str) -> Path:
    run.main([*SMALL, "--results-dir", str(folder), *more])
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJECTORIES_DIR", str(tmp_path_factory.mktemp("data")))
        return ran(tmp_path_factory.mktemp("runs"))


def three(dataset: str, seed: int = 0, **changes) -> store.Record:
    """A made-up record of one Gato that has learned three data sets, as measured on one of them."""
    names = ["hopper-medium", "walker2d-medium", "halfcheetah-medium"]
    command = f"python experiments/run.py --model gato --env {' '.join(names)} --source reroll --task-weights 1 1 2"
    record = made_up(model="gato", dataset=dataset, seed=seed, targets=(None,), command=command, **changes)
    return replace(record, config={**record.config, "run": {**record.config["run"], "env": names, "source": "reroll"}})


# From the command line to the records


def test_skip_missing_leaves_out_tasks_that_cannot_be_played_here(monkeypatch, capsys):
    def check(environment, physics):
        if environment == "hopper":
            raise UserError("hopper needs a package: pip install it.")

    monkeypatch.setattr(whole_run, "check_playable", check)
    settings = parse(["--model", "gato", "--env", "toy-medium", "hopper-medium", "--task-weights", "1", "2"])
    left = whole_run.playable(settings).run
    assert (left.env, left.task_weights) == (("toy-medium",), (1.0,))
    assert "Left out: hopper-medium. hopper needs a package: pip install it." in capsys.readouterr().out
    with pytest.raises(UserError, match="needs a package"):
        whole_run.playable(parse(["--model", "gato", "--env", "hopper-medium"]))


def test_a_run_of_several_data_sets_leaves_one_model_and_a_record_for_each(finished):
    assert finished.name.startswith("gato-2-tasks-collected-s0-")
    assert [path.parent.name for path in sorted(finished.rglob("*.safetensors"))] == [finished.name]
    records = store.read_all(finished.parent)
    assert sorted(record.dataset for record in records) == sorted(TASKS)
    assert {record.tasks for record in records} == {TASKS}
    assert all((finished.parent / record.name / store.RECORD).exists() for record in records)


def test_every_record_names_the_content_of_all_the_data(finished):
    first, second = (store.read_record(finished / task) for task in TASKS)
    assert first.digest != second.digest
    assert first.config["data"] == second.config["data"] == [first.digest, second.digest]


def test_the_same_command_finds_the_finished_run(finished, capsys, monkeypatch):
    monkeypatch.setattr(whole_run, "learn", lambda *_: pytest.fail("it was trained again"))
    monkeypatch.setattr(whole_run, "load_tasks", lambda settings: tuple(named(task, finished) for task in TASKS))
    run.main([*SMALL, "--results-dir", str(finished.parent)])
    output = capsys.readouterr().out
    assert "finished already" in output
    assert all(f"gato (2 tasks) on {task}" in output for task in TASKS)


def named(task: str, finished: Path):
    """Data of which only the name and the digest matter."""
    record = store.read_record(finished / task)
    data = walk((3, 3))
    return replace(data, origin=replace(data.origin, name=task, source=record.source, digest=record.digest))


def test_a_run_missing_one_record_evaluates_only_that_one_again(tmp_path):
    made = ran(tmp_path)
    (made / TASKS[1] / store.RECORD).unlink()
    before = (made / TASKS[0] / store.RECORD).read_bytes()
    ran(tmp_path)
    assert (made / TASKS[0] / store.RECORD).read_bytes() == before
    assert store.read_record(made / TASKS[1]).dataset == TASKS[1]


def test_an_interrupted_run_ends_where_an_undisturbed_one_ends(finished, tmp_path, monkeypatch):
    update, done = training.update, []

    def interrupted(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(update(*arguments))
        return done[-1]

    with monkeypatch.context() as patch:
        patch.setattr(training, "LOG_EVERY", 1)
        patch.setattr(training, "update", interrupted)
        with pytest.raises(SystemExit, match="130"):
            ran(tmp_path, "--checkpoint-seconds", "0")
    made = ran(tmp_path)
    for task in TASKS:
        assert store.read_record(made / task).evaluations == store.read_record(finished / task).evaluations
    assert (made / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


def test_the_recorded_command_makes_the_same_run_again(finished):
    record = store.read_record(finished / TASKS[0])
    settings = parse(record.command.split()[2:])
    assert settings.run.env == TASKS
    resolved = json.loads(json.dumps(settings.resolved()))
    assert resolved["model"] == record.config["model"]
    assert {**resolved["run"], "precision": ""} == {**record.config["run"], "precision": ""}


def test_games_beside_other_tasks_are_played_ten_times():
    run = parse([*SMALL, "--episodes", "100"]).run
    robot, game, picture = (dataset(name).environment.spec() for name in ("toy-medium", "breakout", "easy-vqa"))
    assert [episodes_of(run, spec) for spec in (robot, game, picture)] == [100, 10, 100]
    assert episodes_of(replace(run, env=("breakout",)), game) == 100
    assert episodes_of(replace(run, episodes=3), game) == 3


def test_what_is_answered_comes_from_its_package_beside_collected_tasks(monkeypatch):
    requests = []
    monkeypatch.setattr(whole_run, "load", lambda request: requests.append(request) or walk((3,)))
    monkeypatch.setattr(whole_run, "describe", lambda data: "")
    words = ["--source", "collected", "--steps", "400"]
    whole_run.load_tasks(parse(["--model", "gato", "--env", "toy-medium", "easy-vqa", *words]))
    assert [(each.source, each.steps) for each in requests] == [("collected", 400), ("auto", None)]


def test_weights_are_part_of_what_a_run_is():
    plain, scale_loss = (parse([*SMALL, *more]).resolved() for more in ((), ("--task-weights", "1", "2")))
    assert scale_loss["run"]["task_weights"] == (1.0, 2.0)
    assert store.config_hash(plain) != store.config_hash(scale_loss)


def test_a_mixture_has_a_budget_of_its_own_and_none_of_its_parts(tmp_path):
    presets = tmp_path / "presets.toml"
    rows = {"gato": 1, 'gato."*+*"': 3, 'gato."toy-*"': 2}
    presets.write_text("".join(f"[default.{row}]\nupdates = {updates}\n" for row, updates in rows.items()))
    updates = [parse(["--model", "gato", "--env", *names], presets).run.updates for names in (TASKS[:1], TASKS)]
    assert updates == [2, 3]


def test_a_run_of_one_data_set_does_not_say_that_there_could_be_several():
    resolved = parse(["--model", "gato", "--env", "toy-medium"]).resolved()["run"]
    assert resolved["env"] == "toy-medium"
    assert "task_weights" not in resolved


@pytest.mark.parametrize("model", ["dt", "bc", "tt"])
def test_a_model_of_one_task_refuses_several_data_sets(model):
    with pytest.raises(UserError, match=f"{model} learns from one: choose one, or --model gato"):
        parse(["--model", model, "--env", *TASKS])


@pytest.mark.parametrize("option", [("--path", "one.hdf5"), ("--task-weights", "1", "2", "3")])
def test_files_and_weights_are_one_for_each_data_set(option):
    with pytest.raises(UserError, match=rf"{option[0]} has {len(option) - 1} entries for 2 data sets"):
        parse([*SMALL, *option])


def test_each_data_set_has_its_own_file_in_the_order_of_their_names(monkeypatch):
    requests = []
    monkeypatch.setattr(whole_run, "load", lambda request: requests.append(request) or walk((3,)))
    monkeypatch.setattr(whole_run, "describe", lambda data: "")
    whole_run.load_tasks(parse([*SMALL, "--path", "one.hdf5", "other.hdf5"]))
    assert [(request.name, str(request.path)) for request in requests] == [
        ("toy-medium", "one.hdf5"),
        ("toy-expert", "other.hdf5"),
    ]


# What is drawn


def test_a_data_set_cannot_be_in_a_mixture_twice():
    with pytest.raises(UserError, match="point 2 times"):
        Mixture((walk((3,)), walk((4,))))


def test_tasks_have_their_data_sets_names_so_that_two_share_an_environment():
    data = walk((3, 4))
    other = replace(data, origin=replace(data.origin, name="point-expert"))
    assert [spec.name for spec in Mixture((data, other)).spec] == ["point", "point-expert"]


def test_a_mixture_draws_evenly_without_weights():
    parts = tuple(walk((3,) * size, spec=Spec(name, (3,), (2,), 12)) for name, size in (("one", 2), ("other", 200)))
    equal, scale_loss = Mixture(parts), Mixture(parts, (1.0, 3.0))
    shares = [mixture.counts(np.random.default_rng(0), 40_000) / 40_000 for mixture in (equal, scale_loss)]
    np.testing.assert_allclose(shares, [[0.5, 0.5], [0.25, 0.75]], atol=0.01)


# Back into an environment


def test_the_trained_model_plays_the_task_that_is_named(finished, capsys):
    for task in TASKS:
        recorded = store.read_record(finished / task)
        play.main(play.Options(finished, env=task))
        output = capsys.readouterr().out
        assert f"gato (2 tasks) on {task}" in output
        assert f"return {recorded.evaluations[0].returns[0]:.1f}" in output


def test_prompts_of_all_tasks_are_measured_by_one_command(finished, tmp_path, capsys):
    copy = Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))
    prompts.main(prompts.Options(copy, prompts=("none", "best"), episodes=1))
    output = capsys.readouterr().out
    assert all(f"| {task} |" in output for task in TASKS)
    measured = found.read_all(copy.parent)
    assert [record.dataset for record, _ in measured] == sorted(TASKS)
    drawn = figures.draw(tmp_path / "figures", {}, table.report(store.read_all(copy.parent)), (), measured)
    (figure,) = [path for path in drawn if path.name == f"prompts-{finished.name}.svg"]
    assert all(f">{prompt}<" in figure.read_text() for prompt in ("none", "best"))


def test_all_tasks_of_a_run_stand_in_one_picture_with_their_scores(finished, tmp_path, monkeypatch, capsys):
    drawn = []
    real = contact_sheet.draw
    monkeypatch.setattr(contact_sheet, "draw", lambda *given: drawn.append(given) or real(*given))
    play.main(play.Options(finished, grid=tmp_path / "grid.png"))
    ((pictures, captions, *_),) = drawn
    scores = {task: store.read_record(finished / task).evaluations[0].score for task in TASKS}
    assert sorted(captions) == sorted(f"{task}\nscore {score:.0f}" for task, score in scores.items())
    assert pictures.shape == (2, 160, 160, 3)
    assert not (pictures == 255).all()
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    assert "2 of 2 tasks" in capsys.readouterr().out


def test_a_task_that_cannot_be_drawn_is_named_and_left_out(finished, tmp_path, monkeypatch, capsys):
    def no_picture(record, model):
        raise UserError(f"Nothing is drawn of {record.dataset}.")

    frame = show_tasks.frame
    monkeypatch.setattr(
        show_tasks, "frame", lambda *given: (no_picture if "medium" in given[0].dataset else frame)(*given)
    )
    play.main(play.Options(finished, grid=tmp_path / "grid.png"))
    assert "Left out: toy-medium. Nothing is drawn of toy-medium." in capsys.readouterr().out
    monkeypatch.setattr(show_tasks, "frame", no_picture)
    with pytest.raises(UserError, match="none of 2 tasks can be drawn here"):
        play.main(play.Options(finished, grid=tmp_path / "none.png"))
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("env", [None, "toy-random"])
def test_a_run_of_several_tasks_says_which_it_knows(finished, env):
    with pytest.raises(UserError, match="toy-expert, toy-medium: name one with --env"):
        play.finished(finished, env)


# In the table


def test_a_model_of_several_tasks_stands_beside_the_one_of_a_single_task():
    records = [
        made_up(model="dt"), made_up(model="gato", targets=(None,)), three("hopper-medium", score=55.0),
        made_up(model="dt", dataset="walker2d-medium"), three("walker2d-medium", score=44.0),
    ]  # fmt: skip
    report = table.report(records)
    assert models(records) == ["dt", "gato", "gato (3 tasks)"]
    assert report.tables[0].header[1:4] == ("DT", "Gato", "Gato (3 tasks)")
    numbers = [[cell.main for cell in row[1:4]] for row in report.tables[0].rows]
    assert numbers == [["60.0", "60.0", "55.0"], ["60.0", "—", "44.0"]]


def test_a_mixture_is_missed_only_where_another_seed_of_it_is_there():
    records = [made_up(model="dt"), made_up(model="dt", seed=1), three("hopper-medium")]
    records += [made_up(model="dt", dataset="ant-medium")]
    lines = {(row.label, column, seed): line for row, column, seed, line in missing(rows(records), models(records))}
    assert set(lines) == {("hopper-medium", "gato (3 tasks)", 1)}
    names = "hopper-medium walker2d-medium halfcheetah-medium"
    assert lines["hopper-medium", "gato (3 tasks)", 1].endswith(
        f"--model gato --env {names} --source reroll --task-weights 1 1 2 --seed 1"
    )


def test_other_models_beside_a_mixture_learn_one_data_set_each():
    (absent,) = missing(rows([three("walker2d-medium")]), ["dt", "gato (3 tasks)"])
    assert absent[3] == "python experiments/run.py --model dt --env walker2d-medium --source reroll --seed 0"


def test_a_task_of_a_mixture_is_measured_in_the_physics_that_it_has(tmp_path):
    both = parse(["--model", "gato", "--env", "hopper-medium", "babyai-go-to-local"]).run
    tasks = [environment(name) for name in ("hopper", "babyai-go-to-local")]
    assert [protocol(both, task).physics for task in tasks] == ["d4rl", "gymnasium"]
    earlier = replace(made_up(dataset="babyai-go-to-local"), family="babyai")
    store.write_record(tmp_path, earlier)
    assert store.read_record(tmp_path).protocol.physics == "gymnasium"
