"""The report: made-up records with known answers end in the right cells, and nothing is hidden, mixed or stale."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from report import compare, csv_table, figures, grid, latex, markdown, page, table
from report.curve import Curve, curves_of
from report.store import Record
from tests.records import made_up
from trajectories.errors import UserError


def cells(records: Sequence[Record], expected: Sequence[str] = ()) -> dict[tuple[str, str], dict[str, str]]:
    """The main tables as {(data set, source): {column: main text}}."""
    return {
        (row[0].main, main.title.split(", ")[1]): {name: text.main for name, text in zip(main.header, row, strict=True)}
        for main in table.report(records, expected).scores
        for row in main.rows
    }


def seeds(*scores: float, **options: Any) -> list[Record]:
    return [made_up(seed=seed, score=score, **options) for seed, score in enumerate(scores)]


# ---- cells ----------------------------------------------------------------------------------------------------------


def test_a_cell_holds_mean_and_deviation_over_seeds() -> None:
    assert cells(seeds(60.0, 62.0, 64.0))["hopper-medium", "reroll"]["DT"] == "62.0 ± 2.0"


def test_the_deviation_over_seeds_is_not_that_over_episodes() -> None:
    records = seeds(60.0, 60.0)  # episodes of each are ten points to either side
    assert cells(records)["hopper-medium", "reroll"]["DT"] == "60.0 ± 0.0"


def test_one_seed_shows_no_interval_and_its_spread_over_episodes_is_labeled() -> None:
    (row,) = table.report(seeds(61.0)).scores[0].rows
    shown = row[1]
    assert (shown.main, shown.small, shown.roomy) == ("61.0", ("1 seed × 4",), ("± 10.0 over episodes",))
    line = read_csv(seeds(61.0))[0]
    assert line["score_std_over_seeds"] == line["score_iqm_low"] == ""
    assert float(line["score_std_over_episodes"]) == pytest.approx(10.0)


def test_the_headline_is_the_first_target_return_and_not_the_better_one() -> None:
    backwards = [made_up(score=40.0, targets=(1800.0, 3600.0))]
    backwards = [replace(backwards[0], evaluations=(backwards[0].evaluations[0], made_up(score=80.0).evaluations[0]))]
    assert cells(backwards)["hopper-medium", "reroll"]["DT"] == "40.0"


def test_every_target_return_is_reported() -> None:
    lines = read_csv(seeds(60.0, 62.0))
    assert [(line["target_return"], line["score_mean"], line["headline"]) for line in lines] == [
        ("3600", "61.000", "yes"),
        ("1800", "41.000", "no"),
    ]
    assert "| hopper-medium | reroll | DT | 1800 |" in markdown.document(table.report(seeds(60.0, 62.0)))


@pytest.mark.parametrize(
    "other",
    [{"source": "d4rl"}, {"physics": "gymnasium"}, {"digest": "e" * 64}, {"fraction_best": 0.1}],
    ids=lambda other: next(iter(other)),
)
def test_what_was_measured_differently_never_shares_a_cell(other: dict[str, Any]) -> None:
    arranged = grid.rows([made_up(seed=0, score=50.0), made_up(seed=1, score=70.0, **other)])
    assert len(arranged) == 2
    assert [len(cell.records) for row in arranged for cell in row.cells.values()] == [1, 1]


def test_runs_of_fewer_episodes_share_the_row_of_the_same_starts_and_never_a_cell() -> None:
    (row,) = grid.rows([made_up(seed=0), made_up(seed=1, episodes=8), made_up(model="tt", episodes=2)])
    assert [cell.seeds for cell in (*row.cells.values(), *row.others)] == [(1,), (0,), (0,)]
    assert "1 seed × 2" in cells_small([made_up(model="tt", episodes=2)])
    apart = replace(made_up(), protocol=replace(made_up().protocol, seeds=(7, 8, 9, 10)))
    assert len(grid.rows([made_up(), apart])) == 2  # other starts


def cells_small(records: Sequence[Record]) -> list[str]:
    """The small lines of the main table."""
    return [line for row in table.report(records).scores[0].rows for text in row for line in text.small]


def test_rows_that_differ_only_in_content_have_different_labels() -> None:
    arranged = grid.rows([made_up(digest="a" * 64), made_up(digest="b" * 64)])
    assert [row.label for row in arranged] == ["hopper-medium (aaaaaa)", "hopper-medium (bbbbbb)"]
    assert len(set(grid.names(arranged))) == 2


def test_rows_of_more_and_of_fewer_steps_say_how_many() -> None:
    records = [made_up(digest=letter * 64) for letter in "ab"]
    records = [replace(one, data={**one.data, "steps": steps}) for one, steps in zip(records, (500, 1000), strict=True)]
    assert [row.label for row in grid.rows(records)] == ["hopper-medium 1,000 steps", "hopper-medium 500 steps"]
    assert grid.rows(records[:1])[0].label == "hopper-medium"


def test_another_setting_of_a_model_is_listed_apart_whatever_it_scores() -> None:
    records = [*seeds(60.0, 62.0), made_up(seed=0, score=99.0, updates=100_000)]
    assert cells(records)["hopper-medium", "reroll"]["DT"] == "61.0 ± 1.4"
    (others,) = (each for each in table.report(records).tables if each.title == "Other settings")
    ((*_, settings, score),) = others.rows
    assert (settings.main, score.main) == ("updates 100000", "99.0")


def test_other_evaluation_intervals_group_with_their_seeds_and_count_once() -> None:
    records = [made_up(seed=0, evaluate_every=0), made_up(seed=1, evaluate_every=500)]
    (row,) = grid.rows(records)
    assert row.cells["dt"].seeds == (0, 1)
    (row,) = grid.rows([*records, made_up(seed=0, evaluate_every=500)])
    assert row.cells["dt"].seeds == (0, 1)
    assert [cell.seeds for cell in row.others] == [(0,)]


def test_the_behavior_has_its_own_column() -> None:
    assert cells(seeds(60.0))["hopper-medium", "reroll"]["Behavior"] == "45.2"


# ---- bold -----------------------------------------------------------------------------------------------------------


def bold(records: Sequence[Record]) -> list[str]:
    """What the main table prints in bold."""
    return [text.main for row in table.report(records).scores[0].rows for text in row if text.bold]


def test_the_best_is_bold_only_where_its_interval_lies_above_all_others() -> None:
    behind = seeds(50.0, 51.0, 52.0, model="bc", targets=(None,))
    assert bold([*seeds(60.0, 62.0, 64.0), *behind]) == ["62.0 ± 2.0"]
    assert bold([*seeds(50.5, 62.0, 64.0), *behind]) == []  # the intervals touch
    assert bold(seeds(60.0, 62.0, 64.0)) == []  # no other model to be better than


def test_nothing_is_bold_beside_a_model_of_one_seed() -> None:
    behind = seeds(50.0, 51.0, 52.0, model="bc", targets=(None,))
    assert bold([*seeds(60.0, 62.0, 64.0), *behind, made_up(model="tt", score=10.0)]) == []


# ---- over several data sets -----------------------------------------------------------------------------------------

SUITE = {"both": ("hopper-medium", "walker2d-medium"), "all": ("hopper-medium", "walker2d-medium", "ant-medium")}


def test_a_suite_is_summarized_over_its_data_sets_and_only_from_one_source() -> None:
    records = [*seeds(10.0, 20.0), *seeds(70.0, 80.0, dataset="walker2d-medium"), *seeds(0.0, source="d4rl")]
    (comparison,) = compare.comparisons(grid.rows(records), SUITE)
    assert (comparison.suite, comparison.source, [row.label for row in comparison.rows]) == (
        "both",
        "reroll",
        list(SUITE["both"]),
    )
    (dt,) = compare.summaries(comparison)
    assert (dt.tasks, dt.runs, dt.mean, dt.iqm) == (2, 4, 45.0, 45.0)
    assert dt.interval == (40.0, 50.0)  # a task's seeds never stand in for the other's


def test_of_a_data_set_s_rows_the_one_with_the_most_runs_stands_in_a_suite() -> None:
    records = [made_up(dataset="walker2d-medium"), made_up(digest="a" * 64, score=1.0)]
    records += [made_up(digest="b" * 64, score=9.0, seed=seed) for seed in range(2)]
    (comparison,) = compare.comparisons(grid.rows(records), SUITE)
    assert compare.scores(comparison.rows[0], "dt").tolist() == [9.0, 9.0]


def test_data_sets_of_a_suite_without_runs_are_counted() -> None:
    records = [made_up(dataset=name) for name in SUITE["both"]]
    (over,) = table.report(records, (), {"all": SUITE["all"]}).compared
    assert [row[3].main for row in over.rows] == ["2 of 3"]


def test_a_model_that_has_not_run_every_data_set_is_neither_bold_nor_in_the_profile() -> None:
    few = seeds(99.0, 99.0, model="bc", targets=(None,))
    records = [*seeds(10.0, 20.0), *seeds(70.0, 80.0, dataset="walker2d-medium"), *few]
    (comparison,) = compare.comparisons(grid.rows(records), SUITE)
    assert [(each.column, each.tasks, each.bold) for each in compare.summaries(comparison)] == [
        ("dt", 2, False),
        ("bc", 1, False),
    ]
    assert [each.column for each in compare.profiles(comparison)] == ["dt"]
    assert compare.improvements(comparison) == []


def test_one_seed_of_one_data_set_leaves_no_interval() -> None:
    records = [*seeds(10.0, 20.0), *seeds(70.0, dataset="walker2d-medium")]
    (comparison,) = compare.comparisons(grid.rows(records), SUITE)
    assert compare.summaries(comparison)[0].interval is None
    assert compare.profiles(comparison)[0].interval is None


# ---- published and missing ------------------------------------------------------------------------------------------


def test_published_numbers_are_marked_where_the_data_differ_and_only_there() -> None:
    shown = cells([made_up(), made_up(source="d4rl")])
    assert shown["hopper-medium", "reroll"]["DT, paper"] == "67.6 ± 1.0 †"
    assert shown["hopper-medium", "d4rl"]["DT, paper"] == "67.6 ± 1.0"


def test_offline_rl_as_others_published_it_stands_last_in_the_table() -> None:
    main = table.report([made_up()]).tables[0]
    assert main.header[-2:] == ("IQL, CORL", "TD3+BC, CORL")
    assert [cell.main for cell in main.rows[0][-2:]] == ["67.5 ± 3.8 †", "60.4 ± 3.5 †"]


def test_published_differences_say_whether_the_data_are_the_same() -> None:
    (against,) = (t for t in table.report([made_up(score=60.0), made_up(source="d4rl", score=70.0)]).tables
                  if t.title == "Against published scores")  # fmt: skip
    shown = [(row[2].main, row[3].main, row[6].main) for row in against.rows if row[2].main == "DT, paper"]
    assert shown == [("DT, paper", "yes", "+2.4"), ("DT, paper", "no: reroll, d4rl", "-7.6")]


def test_a_published_score_stands_only_beside_data_that_were_treated_alike() -> None:
    records = [made_up(model="bc", fraction_best=0.1), made_up(model="bc", dataset="walker2d-medium")]
    (against,) = (t for t in table.report(records).tables if t.title == "Against published scores")
    assert [row[2].main for row in against.rows if "10% BC" in row[2].main] == ["10% BC, DT paper", "10% BC, CORL"]
    assert all(("10%" in row[2].main) == ("best 10%" in row[0].main) for row in against.rows)


def test_a_missing_run_is_a_dash_and_a_command_that_makes_it() -> None:
    records = [*seeds(60.0, 62.0), made_up(model="bc", seed=0, targets=(None,)), made_up(source="d4rl")]
    report = table.report(records)
    assert cells(records)["hopper-medium", "d4rl"]["BC"] == "—"
    assert [line for _, line in report.missing] == [
        f"python experiments/run.py --model bc --env hopper-medium --source {source} --seed {seed} "
        "--updates 20000 --episodes 4"
        for source, seed in (("d4rl", 0), ("reroll", 1))
    ]


def test_the_command_of_a_missing_run_keeps_the_options_that_all_models_share() -> None:
    typed = (
        "python experiments/run.py --model dt --env hopper-medium --context 40 --target-returns 3600 1800 --updates=50"
    )
    records = [made_up(command=typed, target_returns=[3600, 1800])]
    ((_, line),) = table.report(records, expected=("bc",)).missing
    assert line.endswith("--model bc --env hopper-medium --target-returns 3600 1800 --updates 50 --seed 0")
    assert "--context" not in line


def test_where_something_was_done_to_the_data_no_other_model_is_missed() -> None:
    records = [made_up(), made_up(model="bc"), made_up(model="bc", seed=1, fraction_best=0.1)]
    records += [made_up(model="bc", fraction_best=0.1), made_up(seed=1)]
    assert [line.partition("--model ")[2][:2] for _, line in table.report(records).missing] == ["bc"]


def test_a_model_that_learns_nothing_is_missed_once_in_a_row_and_without_a_budget() -> None:
    there = made_up(model="nearest", dataset="walker2d-medium", targets=(None,), updates=0)
    typed = "python experiments/run.py --model dt --env hopper-medium --target-returns 3600 --updates 50"
    records = [*seeds(60.0, 62.0, command=typed), there]
    absent = [line for _, line in table.report(records).missing if "--model nearest" in line]
    assert absent == ["python experiments/run.py --model nearest --env hopper-medium --seed 0"]


def test_a_model_without_runs_gets_a_column_only_if_it_is_expected() -> None:
    assert "Gato" not in cells(seeds(60.0))["hopper-medium", "reroll"]
    assert cells(seeds(60.0), expected=("gato",))["hopper-medium", "reroll"]["Gato"] == "—"


# ---- files ----------------------------------------------------------------------------------------------------------


def read_csv(records: Sequence[Record]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_table.long_csv(grid.rows(records)))))


def test_figures_are_drawn_of_a_diverged_loss_and_of_returns_without_spread(tmp_path: Path) -> None:
    record = made_up()
    flat = replace(record.evaluations[0], returns=(100.0,) * 4)
    record = replace(record, evaluations=(flat,), behavior=replace(record.behavior, quantiles=()))
    curve = Curve(tmp_path / record.name)
    curve.append({"update": 100, "loss/total": -1.0})
    curve.append({"update": 200, "loss/total": float("nan")})
    curves = curves_of([record], tmp_path)
    drawn = figures.draw(tmp_path / "figures", curves, table.report([record]))
    assert {path.stem.split("-")[0] for path in drawn} == {"loss", "episodes", "compute"}


def test_the_row_with_the_most_target_returns_shows_return_conditioning(tmp_path: Path) -> None:
    few = made_up(dataset="hopper-medium", targets=(3600.0, 1800.0))
    assert "return_conditioning" not in figures.plan({}, table.report([few]))
    many = made_up(dataset="hopper-medium-replay", targets=(3600.0, 2700.0, 1800.0, 900.0))
    planned = figures.plan({}, table.report([few, many]))
    assert planned["return_conditioning"].args[0].first.dataset == "hopper-medium-replay"


def test_without_runs_the_report_says_how_to_make_one(tmp_path: Path) -> None:
    tables = table.report([])
    assert "python experiments/run.py" in markdown.document(tables)
    assert "python experiments/run.py" in page.page(tables, tmp_path)
    assert latex.document(tables.scores).startswith("% There are no")
    assert markdown.short(tables, markdown.ENGLISH) == markdown.EMPTY


def test_every_line_of_a_markdown_table_has_the_same_number_of_cells() -> None:
    report = table.report([*seeds(60.0, 62.0), made_up(source="d4rl"), made_up(seed=0, updates=1)])
    for each in report.tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in markdown.grid(each).splitlines()}) == 1


@pytest.mark.parametrize("damaged", [markdown.BEGIN, markdown.END, markdown.END + markdown.BEGIN])
def test_a_readme_with_half_a_marker_is_refused(damaged: str) -> None:
    with pytest.raises(UserError, match=r"README\.md"):
        markdown.between_markers(f"# Title\n{damaged}\n", "table", "README.md")


def test_both_readmes_show_the_same_numbers() -> None:
    report = table.report(seeds(60.0, 62.0))
    english, chinese = (markdown.short(report, words) for words in (markdown.ENGLISH, markdown.CHINESE))
    numbers = [re.findall(r"\d+\.\d", text) for text in (english, chinese)]
    assert numbers[0] == numbers[1]
    assert "数据集（reroll）" in chinese
    assert "seeds" not in chinese


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("Data set, reroll", "数据集（reroll）"),
        ("Gato (3 tasks)", "Gato（3 个任务）"),
        ("pong 100,000 steps", "pong 100,000 步"),
        ("my-return 3 seeds × dt", "my-return 3 seeds × dt"),
    ],
)
def test_cells_are_translated_as_whole_lines_and_names_are_not(line: str, written: str) -> None:
    assert markdown.CHINESE.line(line) == written
