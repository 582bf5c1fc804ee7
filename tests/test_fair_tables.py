"""What a reader of the records would compute is what the tables say: nothing mixed, left out or counted twice."""

from dataclasses import replace
from typing import Any

import numpy as np

from report import cell_text, compare, csv_table, families, grid, latex, markdown, mixtures, verdict
from report.dataframe import mean_of
from report.published import published
from report.store import Evaluation, Record
from report.table import report as report_of
from tests.records import made_up
from training import grid as planned
from training.staleness import stale
from training.suites import Suite


def scored(record: Record, *success: bool) -> Record:
    """The record of a task that may succeed, one episode for each outcome."""
    first, count = record.evaluations[0], len(success)
    played = replace(first, success=success, returns=first.returns[:1] * count, lengths=first.lengths[:1] * count)
    return replace(record, evaluations=(played,))


def task(name: str, family: str, *success: bool, source: str = "collected", **fields: Any) -> Record:
    return replace(scored(made_up(dataset=name, source=source), *success), env=name, family=family, **fields)


def in_run(record: Record, **settings: Any) -> Record:
    return replace(record, config={**record.config, "run": {**record.config["run"], **settings}})


def answered(family: str, *evaluations: Evaluation, seed: int = 0) -> Record:
    return replace(made_up(seed=seed), family=family, evaluations=evaluations)


def test_what_random_actions_score_is_measured_or_not_shown() -> None:
    one = task("babyai-go-to-local", "babyai", True, False)
    assert families.random(replace(one, references={"random_success": 0.25})) == 25
    assert families.random(replace(one, references={})) is None
    assert families.expert(replace(one, references={})) is None
    assert families.random(made_up()) == 0
    assert families.expert(answered("text")) is None


def test_families_of_two_sources_are_two_lines() -> None:
    records = [made_up(), made_up(source="collected"), made_up(dataset="walker2d-medium")]
    found = families.families(grid.rows(records))
    assert [each.title for each in found if each.name == "mujoco"][:1] == ["D4RL's robots, reroll"]
    assert sum(len(each.rows) for each in found) == 3


def test_the_expert_and_random_actions_are_aggregated_as_models_are() -> None:
    shares = (1.0, 1.0, 1.0, 0.5)
    rows = [task(f"task-{n}", "metaworld", True, references={"expert_success": each}) for n, each in enumerate(shares)]
    (family,) = families.families(grid.rows(rows))
    assert family.reference(families.expert) == 100
    assert family.reference(families.random) is None


def test_a_share_that_is_the_experts_but_for_rounding_reaches_it() -> None:
    outcome = [True] * 55 + [False] * 45
    tasks = [task(name, name, *outcome, references={"expert_success": 0.55}) for name in ("babyai", "fetch")]
    table = families.reached(grid.rows(tasks), ["dt"])
    assert [text.main for text in table.rows[0]] == ["DT", "2", "2 of 2", "2 of 2", "2 of 2"]


def test_a_readmes_families_are_of_the_source_that_stands_above_them() -> None:
    names = [f"babyai-{n}" for n in range(20)] + ["fetch-a", "fetch-b"]
    records = [
        task(name, name.partition("-")[0], outcome, source=source)
        for source, outcome in (("collected", True), ("minari", False))
        for name in names
    ]
    report = report_of(records, (), {})
    for table in report.scores:
        short = markdown.briefly(table, report)
        expected = "100.0" if table.title.endswith("collected") else "0.0"
        assert {row[1].main for row in short.rows} == {expected}


def test_mixtures_of_other_sources_are_apart_and_a_seed_counts_once() -> None:
    tasks = ["hopper-medium", "walker2d-medium", "halfcheetah-medium"]

    def run(score: float, seed: int = 0, **settings: object) -> list[Record]:
        made = [made_up("gato", name, score=score, seed=seed) for name in tasks]
        return [in_run(record, env=tasks, **settings) for record in made]

    rows = grid.rows([*run(50, source="reroll"), *run(90, source="collected"), *run(70, 1, source="reroll")])
    found = mixtures._mixtures(rows)
    assert {each.over("mujoco", tasks) for each in found} == {60, 90}
    again = grid.rows([*run(50), *run(90, evaluate_every=123)])
    (mixture,) = mixtures._mixtures(again)
    assert [len(scores) for scores in mixture.scores["mujoco"].values()] == [1, 1, 1]


def suite(**scores: list[list[float]]) -> compare.SuiteComparison:
    """Each model's scores, a list of seeds for each data set."""
    records = [
        made_up(model, name, score=score, seed=seed)
        for model, tasks in scores.items()
        for name, seeds in zip(("hopper-medium", "walker2d-medium"), tasks, strict=True)
        for seed, score in enumerate(seeds)
    ]
    (found,) = compare.comparisons(grid.rows(records), {"two": ("hopper-medium", "walker2d-medium")})
    return found


def test_one_model_with_several_seeds_is_not_ranked_alone() -> None:
    alone = suite(dt=[[50, 51, 52], [60, 61, 62]], bc=[[99], [99]])
    assert alone.ranked == []
    assert verdict.english(alone)[0] == "Nothing is ranked"
    assert verdict.chinese(alone)[0] == "无法排名"


def test_the_verdict_says_at_least_where_seeds_differ() -> None:
    more = suite(dt=[[50, 51, 52, 53], [60, 61, 62, 63]], bc=[[40, 41, 42], [40, 41, 42]])
    assert "with at least 3 seeds each" in verdict.english(more)[1]
    assert "各至少 3 个种子" in verdict.chinese(more)[1]
    alike = suite(dt=[[50, 51], [60, 61]], bc=[[40, 41], [40, 41]])
    assert "with 2 seeds each" in verdict.english(alike)[1]


def test_every_pair_of_ranked_models_is_listed_once() -> None:
    tied = suite(dt=[[9, 7, 1], [6, 1, 8]], bc=[[6, 3, 1], [1, 8, 7]])
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 4, (20, 2, 2, 3)).tolist()
    for compared in [tied, *(suite(dt=one, bc=other) for one, other in drawn)]:
        (pair,) = compare.improvements(compared)
        assert pair.probability >= 0.5 - compare.TIE


def test_filtered_data_do_not_stand_beside_published_scores() -> None:
    for treatment in ({"fraction_of_expert": 0.8}, {"demonstrations": 10}, {"delayed_reward": True}):
        (row,) = grid.rows([in_run(made_up(source="d4rl"), **treatment)])
        assert not any(cell_text.comparable(column, row) for column in published())


def test_rows_of_two_physics_are_named_apart() -> None:
    other = made_up()
    records = [other, replace(other, protocol=replace(other.protocol, physics="gymnasium"))]
    assert sorted(row.label for row in grid.rows(records)) == ["hopper-medium", "hopper-medium in gymnasium's physics"]


def test_success_and_returns_are_not_averaged() -> None:
    known, unknown = scored(made_up(), True, False), made_up(seed=1)
    assert len(grid.rows([known, unknown])) == 2


def test_the_success_of_selected_episodes_is_not_that_of_all() -> None:
    whole = replace(scored(made_up(), True), data={**made_up().data, "metadata": {"success_rate": 0.5}})
    (row,), (best,) = grid.rows([whole]), grid.rows([in_run(whole, fraction_best=0.1)])
    assert cell_text.behavior(row).main == "50.0"
    assert cell_text.behavior(best).main == cell_text.ABSENT


def test_units_of_the_csv_are_those_of_the_tables() -> None:
    text = answered("text", Evaluation(None, (1.0, 2.0), (30, 10), 80.0))
    assert mean_of(text, text.evaluations[0]) == 1.25
    (row,) = grid.rows([scored(made_up(), True, False)])
    line = dict(zip(csv_table.CSV_COLUMNS, csv_table.csv_line(row, row.cells["dt"], 0), strict=True))
    assert (line["score_mean"], line["score_std_over_episodes"], line["behavior_score"]) == ("50.000", "50.000", "")


def test_latex_prints_what_its_caption_names() -> None:
    assert latex.cell(cell_text.Text("1.0", ("[0.9, 1.1]", "3 seeds × 10"))) == (
        r"\shortstack[r]{1.0 \\ \tiny [0.9, 1.1] \\ \tiny 3 seeds $\times$ 10}"
    )


def test_answers_of_several_seeds_have_their_interval() -> None:
    scores = [Evaluation(None, (1.0,) * 4, (1,) * 4, score) for score in (80.0, 81.0, 82.0)]
    records = [answered("pairs", each, seed=seed) for seed, each in enumerate(scores)]
    (row,) = grid.rows(records)
    assert "[80.0, 82.0]" in cell_text.measured(row.cells["dt"]).small


def test_a_grid_does_not_take_other_target_returns_for_its_own() -> None:
    (run,) = planned.plan(Suite(models=("dt",), envs=("hopper-medium",), seeds=(0,), source="reroll"))
    settings = run.settings.resolved()
    own, other = (
        replace(made_up(), config={**settings, "run": {**settings["run"], "target_returns": targets}})
        for targets in ([3600.0, 1800.0], [100.0])
    )
    assert planned.state(run, [own], {}).done
    assert not planned.state(run, [other], {}).done


def test_an_experts_data_of_another_size_are_stale() -> None:
    about = {"steps": 50_000, "expert": "bot", "digest": "0" * 64}
    made = task("babyai-open-door", "babyai", True, data=about)
    assert any("today's 100,000" in why for whys in stale([made]).values() for why in whys)


def test_a_setting_that_is_gone_makes_a_record_stale() -> None:
    record = made_up(command="python experiments/run.py --model dt --env hopper-medium")
    old = replace(record, config={**record.config, "model": {**record.config["model"], "no_such_setting": 1}})
    assert any("no_such_setting" in why for whys in stale([old]).values() for why in whys)
