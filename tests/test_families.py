"""Models compared family by family: what is averaged, and over which tasks."""

from dataclasses import replace

import pytest

from report import families
from report.grid import models, rows
from report.markdown import CHINESE, ENGLISH, ROWS, short
from report.store import Evaluation, Record
from report.table import report
from tests.records import made_up

REFERENCES = {"random_success": 0.1, "expert_success": 0.8}


def solved(dataset: str, share: float, model: str = "gato", seed: int = 0) -> Record:
    """A record of a task that was solved in this share of its four episodes."""
    success = tuple(number < 4 * share for number in range(4))
    evaluation = Evaluation(None, (1.0,) * 4, (5,) * 4, 50.0, success)
    record = made_up(model=model, dataset=dataset, seed=seed, digest=dataset)
    return replace(record, evaluations=(evaluation,), family="babyai", references=REFERENCES)


RECORDS = [
    *(solved("babyai-one", 0.5, seed=seed) for seed in range(3)),
    solved("babyai-two", 1.0),
    solved("babyai-two", 0.25, model="bc"),
    made_up(model="gato", score=30.0),
    made_up(model="dt", score=90.0),
]


def cells(table, line: int) -> dict[str, str]:
    return {name: text.main for name, text in zip(table.header, table.rows[line], strict=True)}


def test_a_family_is_the_interquartile_mean_over_its_tasks_runs():
    arranged = rows(RECORDS)
    table = families.by_family(arranged, models(RECORDS))
    assert [row[0].main for row in table.rows] == ["D4RL's robots", "BabyAI"]
    babyai = cells(table, 1)
    assert babyai == {"Family": "BabyAI", "DT": "—", "Gato": "50.0", "BC": "25.0", "Expert": "80.0", "Random": "10.0",
                      "Tasks": "2"}  # fmt: skip
    assert table.rows[1][3].small == ("1 of 2 tasks",)
    assert cells(table, 0)["DT"] == "90.0"


def test_tasks_at_the_experts_level_are_counted_over_all_families():
    table = families.reached(rows(RECORDS), models(RECORDS))
    counted = {row[0].main: [text.main for text in row[2:]] for row in table.rows}
    assert counted["Gato"] == ["2 of 3", "1 of 3", "1 of 3"]  # 62.5% of the expert's, 125% and 30%
    assert counted["BC"] == ["0 of 1", "0 of 1", "0 of 1"]


def test_one_family_alone_is_not_compared_with_others():
    alone = [made_up(model=model) for model in ("dt", "bc")]
    assert families.by_family(rows(alone), models(alone)).rows == ()


def test_data_that_were_treated_do_not_stand_for_a_task():
    best = made_up(model="gato", score=99.0, fraction_best=0.1, digest="e" * 64)
    table = families.by_family(rows([*RECORDS, best]), models(RECORDS))
    assert cells(table, 0)["Gato"] == "30.0"


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_tasks_with_success_have_a_short_table_in_both_languages(language):
    assert "babyai-one" in short(report(RECORDS), language)


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_many_tasks_with_success_stand_by_family_in_a_readme(language):
    babyai = [solved(f"babyai-{number}", 0.5) for number in range(ROWS)]
    fetch = [replace(solved("fetch-reach", 1.0), family="fetch"), solved("babyai-0", 1.0, model="bc")]
    text = short(report([*babyai, *fetch]), language)
    assert "babyai-0" not in text
    (line,) = (line for line in text.splitlines() if line.startswith("| BabyAI"))
    assert line == "| BabyAI | 50.0 | 80.0 |"  # Gato and the expert; BC has run one of the tasks alone


def test_returns_of_the_control_suite_are_apart_from_those_of_d4rl():
    control = replace(made_up(dataset="dmc-cartpole-balance"), family="dm_control")
    assert [each.title for each in report([made_up(), control]).scores] == ["Scores, reroll", "Returns, reroll"]
