"""One set of weights for many tasks beside others of the same tasks: which are compared, over what, and how named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from report import figures, mixtures, table
from report.grid import rows
from report.store import Record
from tests.records import made_up

TASKS = {"hopper-medium": "mujoco", "babyai-one": "babyai", "babyai-two": "babyai", "text-one": "text"}


def mixture(
    names: list[str], score: float, seed: int = 0, weights: tuple[float, ...] = (), **model: Any
) -> list[Record]:
    """The records of one run of these tasks."""
    found = []
    for place, name in enumerate(names):
        record = made_up("gato", name, seed=seed, score=score + 10 * place, targets=(None,), digest=name * 9)
        run = {**record.config["run"], "env": names, "task_weights": list(weights)}
        config = {**record.config, "run": run, "model": {"width": 192, **model}}
        found.append(replace(record, config=config, family=TASKS[name]))
    return found


ALL = list(TASKS)
RECORDS = [
    *mixture(ALL, 50), *mixture(ALL, 70, seed=1), *mixture(ALL[:-1], 20), *mixture(ALL, 30, width=64),
    *mixture(ALL, 40, weights=(1, 1, 1, 2)), made_up("gato", score=99, targets=(None,)),
]  # fmt: skip


def shown() -> mixtures.MixtureComparison:
    (only,) = mixtures.compared(rows(RECORDS))
    return only


def test_mixtures_are_named_by_what_differs_from_the_first() -> None:
    first, *others = shown().mixtures
    assert first.label == "all 4 tasks"
    assert (first.first.config["run"]["task_weights"], first.first.config["model"]["width"]) == ([], 192)
    assert {each.label for each in others} == {"other weights", "width 64", "without Text"}


def test_weights_that_are_equal_again_are_named_so() -> None:
    (first, *_), (other, *_) = mixture(ALL, 50, weights=(1, 1, 1, 2)), mixture(ALL, 40)
    found = [mixtures.Mixture("", each, {}, 0, 0) for each in (first, other)]
    assert mixtures.differences(found[0], found[1]) == ["equal weights"]


def test_families_are_compared_over_the_tasks_that_mixtures_share() -> None:
    scores = {each.label: each for each in shown().mixtures}
    first = scores["all 4 tasks"]
    assert first.over("babyai", shown().tasks["babyai"]) == pytest.approx(75)  # 60, 80 of one task, 70, 90 of the other
    assert scores["without Text"].over("babyai", shown().tasks["babyai"]) == pytest.approx(35)
    assert scores["without Text"].over("text", shown().tasks["text"]) is None


def test_unlike_mixtures_and_single_tasks_are_not_compared() -> None:
    assert mixtures.compared(rows([*mixture(ALL, 50), made_up("gato", targets=(None,))])) == []
    names = ["walker2d-medium", "ant-medium", "halfcheetah-medium"]
    TASKS.update(dict.fromkeys(names, "mujoco"))
    assert mixtures.compared(rows([*mixture(ALL, 50), *mixture(names, 50)])) == []


def test_mixtures_have_a_table_and_a_figure(tmp_path: Path) -> None:
    report = table.report(RECORDS)
    (found,) = [each for each in report.tables if each.title == "One set of weights, other mixtures"]
    lines = {row[0].main: [text.main for text in row[1:]] for row in found.rows}
    assert found.header == ("Mixture", "Tasks", "Parameters", "D4RL's robots", "BabyAI", "Text")
    assert lines["without Text"] == ["3", "0.7M", "20.0", "35.0", "—"]
    figures.draw(tmp_path, {}, report)
    (figure,) = tmp_path.glob("mixtures-gato-4-tasks-*.svg")
    text = figure.read_text()
    assert all(f">{each.label} (0.7M)<" in text for each in report.mixtures_compared[0].mixtures)
