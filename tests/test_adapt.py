"""A few demonstrations of a task that was held out: what is run, what is recorded, and what the report makes of it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import adapt, benchmark, run
from report import adaptation, figures, store, table
from report.grid import rows
from tests.records import made_up
from training import jobs
from training.run_lock import CARD
from training.settings import parse
from training.staleness import changed_settings
from trajectories.errors import UserError

SMALL = [
    *("--model", "gato", "--source", "collected", "--steps", "400", "--updates", "2", "--episodes", "2"),
    *("--batch-size", "8", "--width", "16", "--heads", "2", "--head-width", "8", "--hidden", "32", "--threads", "1"),
]
EXTRA = ["--source", "collected", "--steps", "400", "--episodes", "2"]


@pytest.fixture(scope="module")
def generalist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gato of two tasks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJECTORIES_DIR", str(tmp_path_factory.mktemp("data")))
        folder = tmp_path_factory.mktemp("generalist")
        run.main([*SMALL, "--env", "toy-medium", "toy-random", "--results-dir", str(folder)])
        (made,) = folder.iterdir()
        return made


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs in this process; the names of those that were run."""
    names = []

    def here(todo: Any, at_once: int, say: Any) -> Any:
        for job in todo:
            run.main([*job.run.arguments, *job.machine])
            names.append(job.run.name)
            yield jobs.Ended(job, 0)

    monkeypatch.setattr(jobs, "run_local", here)
    return names


def few(start: str = "", amount: int = 10, seed: int = 0, score: float = 50.0, **changes: Any) -> store.Record:
    """A record of a Gato that has learned from so many demonstrations."""
    record = made_up(model="gato", seed=seed, score=score, targets=(None,), demonstrations=amount, start=start)
    return replace(record, **changes)


BEGAN = "gato-27-tasks-collected-s0-0123abcd"
RECORDS = [
    few(BEGAN, 10, 0, 40), few(BEGAN, 10, 1, 60), few(BEGAN, 100, 0, 80), few(BEGAN, 10, 0, 20, updates=0),
    few(amount=10, score=10), few(amount=100, score=70), few("gato-fetch-reach-collected-s1-0123abcd", 10, score=15),
    replace(few(amount=10, score=30), model="nearest"), made_up(model="gato", score=90),
]  # fmt: skip


def test_every_kind_of_start_is_run_once_and_recorded(generalist: Path, ran: list[str], tmp_path: Path, capsys) -> None:
    options = adapt.Options(generalist, "toy-expert", (2, 3), (0,), (), 2, results_dir=tmp_path, report=False)
    assert adapt.main(options, EXTRA) == 0
    kinds = ("from 2 tasks", "from scratch", "2 tasks, prompted", "Nearest")
    assert ran == [f"{kind}, {count} demonstrations, seed 0" for count in (2, 3) for kind in kinds]
    output = capsys.readouterr().out
    assert all(f"| {kind} |" in output for kind in kinds)
    records = store.read_all(tmp_path)
    assert len(records) == 8
    assert {record.config["model"].get("width", 16) for record in records} == {16}  # from scratch, too
    assert not [why for record in records for why in changed_settings(record) if "width" in why]
    ran.clear()
    assert adapt.main(replace(options, demonstrations=(2, 3, 4)), EXTRA) == 0
    assert ran == [f"{kind}, 4 demonstrations, seed 0" for kind in kinds]


def test_seeds_are_of_what_learns_and_other_runs_are_beside(generalist: Path) -> None:
    options = adapt.Options(generalist, "toy-expert", (5,), (0, 1), (generalist,), 7)
    cells = list(adapt.planned(options, [*EXTRA, "--decoding", "median"]))
    assert sorted(cell.seed for cell in cells) == [0] * 5 + [1] * 3
    nearest, prompted = cells[4], cells[3]
    assert "--decoding" not in nearest.arguments
    assert "--episodes" in nearest.arguments
    assert prompted.settings.run.updates == 0
    assert {cell.settings.run.updates for cell in cells if cell not in (nearest, prompted)} == {7}


def test_two_runs_that_have_learned_the_same_are_two_kinds_of_start(generalist: Path, tmp_path: Path) -> None:
    twin = generalist.with_name("gato-2-tasks-collected-s1-0123abcd")
    shutil.copytree(generalist, tmp_path / twin.name)
    options = adapt.Options(generalist, "toy-expert", (5,), (0,), (tmp_path / twin.name,))
    names = [cell.name for cell in adapt.planned(options, EXTRA)]
    assert len(set(names)) == len(names) == 5
    assert names[1] == "from 2 tasks (0123abcd), 5 demonstrations, seed 0"
    records = [few(BEGAN, score=40), few(BEGAN.replace("s0-0123abcd", "s1-4567abcd"), score=60), few(score=10)]
    (shown,) = adaptation.adaptations(rows(records))
    found = {line.start: line.scores[10].tolist() for line in shown.lines}
    assert found == {"from 27 tasks (0123abcd)": [40], "from 27 tasks (4567abcd)": [60], "from scratch": [10]}


def test_all_starts_learn_from_the_same_demonstrations_however_options_are_typed(generalist: Path) -> None:
    options = adapt.Options(generalist, "toy-expert", (5,), (0,))
    cells = list(adapt.planned(options, [*EXTRA, "--data_seed", "3", "--no-delayed-reward"]))
    assert {cell.settings.run.data_seed for cell in cells} == {3}
    assert all("--no-delayed-reward" in cell.arguments or cell.start != "Nearest" for cell in cells)


def test_from_scratch_is_the_same_model_whatever_the_preset(generalist: Path, tmp_path: Path) -> None:
    """A setting that the run has as it is usual for the task may be another in a preset."""
    there = Path(shutil.copytree(generalist, tmp_path / generalist.name))
    card = json.loads((there / CARD).read_text())
    usual = parse(["--model", "gato", "--env", "breakout"]).config.learning_rate
    (there / CARD).write_text(json.dumps({**card, "config": {**card["config"], "learning_rate": usual}}))
    options = adapt.Options(there, "breakout", (5,), (0,))
    began, scratch, *_ = adapt.planned(options, [*EXTRA, "--preset", "smoke"])
    assert scratch.settings.config == began.settings.config


def test_demonstrations_of_several_draws_are_not_mixed() -> None:
    other = few(score=90, seed=1)
    other = replace(other, config={**other.config, "run": {**other.config["run"], "data_seed": 1}})
    shown = adaptation.adaptations(rows([few(score=10), other]))
    assert [each.lines[0].scores[10].tolist() for each in shown] == [[10], [90]]
    assert [each.name for each in shown] == ["hopper-medium, reroll", "hopper-medium, reroll, data seed 1"]
    assert len({adaptation.adaptation_name(each) for each in shown}) == 2


def test_a_seed_that_is_there_twice_counts_once() -> None:
    again = few(score=99)
    again = replace(again, config={**again.config, "run": {**again.config["run"], "evaluate_every": 5}})
    (shown,) = adaptation.adaptations(rows([few(score=10), again]))
    assert len(shown.lines[0].scores[10]) == 1


def test_what_a_run_has_learned_is_known_by_its_name_whatever_its_source() -> None:
    assert adaptation.learned_before("gato-breakout-dqn-replay-s0-0123abcd") == "breakout"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env": "toy-medium"}, "has learned toy-medium already: name a task with --env"),
        ({"demonstrations": (0,)}, r"--demonstrations is \(0,\)"),
        ({"seeds": ()}, r"--seeds is \(\)"),
        ({"demonstrations": (9_999,)}, "finished episodes, and not 9999: draw fewer"),
    ],
)
def test_what_cannot_be_adapted_is_one_sentence(change: Any, message: str, generalist: Path, tmp_path: Path) -> None:
    options = adapt.Options(generalist, "toy-expert", (2,), (0,), results_dir=tmp_path, report=False)
    with pytest.raises(UserError, match=message):
        adapt.main(replace(options, **change), EXTRA)
    assert not list(tmp_path.iterdir())


def test_a_run_without_weights_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no weights of such a run"):
        adapt.main(adapt.Options(tmp_path / "none"), [])


def test_a_started_run_is_not_stale_for_the_settings_that_it_took_over(generalist: Path) -> None:
    settings = parse(["--model", "gato", "--env", "toy-expert", "--start", str(generalist), *EXTRA])
    record = replace(made_up(model="gato", dataset="toy-expert", command=settings.command()), env="toy")
    config = {"model": settings.resolved()["model"], "run": settings.resolved()["run"]}
    assert list(changed_settings(replace(record, config=store.plain(config)))) == []


def test_lines_are_kinds_of_start_with_a_score_for_each_seed() -> None:
    (shown,) = adaptation.adaptations(rows(RECORDS))
    found = {line.start: {amount: list(scores) for amount, scores in line.scores.items()} for line in shown.lines}
    assert found == {
        "from 27 tasks": {10: [40, 60], 100: [80]},
        "27 tasks, prompted": {10: [20]},
        "from fetch-reach": {10: [15]},
        "from scratch": {10: [10], 100: [70]},
        "Nearest": {10: [30]},
    }
    assert [line.start for line in shown.lines][:3] == ["27 tasks, prompted", "from 27 tasks", "from fetch-reach"]


def test_of_several_settings_the_one_with_the_most_runs_is_shown() -> None:
    other = few(amount=10, score=99)
    other = replace(other, config={**other.config, "run": {**other.config["run"], "updates": 5}})
    (shown,) = adaptation.adaptations(rows([*RECORDS, other]))
    assert {line.start: line.scores for line in shown.lines}["from scratch"][10].tolist() == [10]


def test_few_demonstrations_have_a_table_and_a_figure_and_no_row_of_scores(tmp_path: Path) -> None:
    report = table.report(RECORDS)
    (scores,) = report.scores
    assert [row[0].main for row in scores.rows] == ["hopper-medium"]
    (shown,) = [each for each in report.tables if each.title == "From a few demonstrations"]
    line = next(row for row in shown.rows if row[2].main == "from 27 tasks")
    assert [text.main for text in line[3:]] == ["50.0 ± 14.1", "80.0"]
    drawn = [path.name for path in figures.draw(tmp_path, {}, report)]
    assert [name for name in drawn if "demonstrations" in name] == []
    (figure,) = [path for path in tmp_path.glob("adaptation-hopper-medium-*.svg")]
    assert all(f">{line.start}<" in figure.read_text() for line in report.adaptations[0].lines)


def test_the_grid_is_benchmarks_own(generalist: Path, capsys) -> None:
    options = adapt.Options(generalist, "toy-expert", (2,), (0,), dry_run=True)
    assert adapt.main(options, EXTRA) == 0
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if not line.startswith("#")]
    assert len(commands) == 4
    assert [list(parse(line.split()[2:]).run.env) for line in commands] == [["toy-expert"]] * 4
    assert benchmark.Options().jobs == options.jobs
