"""results/: records are immutable and honest, curves continue, and the statistics are right on known answers."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import store
from report.curve import Curve, curve_of, return_column
from report.published import published
from report.statistics import (
    bootstrap_interval,
    improvement_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    profile_interval,
    resampled,
    summarize,
)
from tests.records import made_up, write
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


# ---- records --------------------------------------------------------------------------------------------------------


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    (record,) = write(tmp_path, made_up())
    assert store.read_record(tmp_path / record.name) == record
    assert store.read_all(tmp_path) == [record]


def test_a_finished_record_is_never_written_again(tmp_path: Path) -> None:
    (record,) = write(tmp_path, made_up())
    before = (tmp_path / record.name / "record.json").read_bytes()
    with pytest.raises(UserError, match="finished"):
        store.write_record(tmp_path / record.name, replace(record, parameters=1))
    assert (tmp_path / record.name / "record.json").read_bytes() == before


def test_a_record_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    record = replace(made_up(), peak_memory_mb=float("nan"))
    with pytest.raises(UserError, match=r"record\.peak_memory_mb is nan"):
        store.write_record(tmp_path / "run", record)
    assert list(tmp_path.rglob("*")) == []


def test_the_folder_names_model_data_source_seed_and_settings() -> None:
    record = made_up(seed=3)
    assert re.fullmatch(r"dt-hopper-medium-reroll-s3-[0-9a-f]{8}", record.name)
    assert record.name.endswith(store.config_hash(record.config)[:8])


def test_one_folder_holds_a_run_whatever_its_data_set_is_called() -> None:
    assert made_up(dataset="D4RL/hopper/medium-v0").name.startswith("dt-D4RL-hopper-medium-v0-reroll-s0-")
    assert made_up(dataset='breakout?{"frame_skip": 2}').name.startswith("dt-breakout-frame_skip-2-")


def test_the_hash_ignores_the_order_of_keys_and_differs_for_every_value(tmp_path: Path) -> None:
    one = {"model": {"context": 20, "clip": 0.25}, "run": {"path": tmp_path, "targets": (1.0, 2.0)}}
    same = {"run": {"targets": [1.0, 2.0], "path": str(tmp_path)}, "model": {"clip": 0.25, "context": 20}}
    other = {**one, "model": {"context": 20, "clip": 0.5}}
    assert store.config_hash(one) == store.config_hash(same)
    assert store.config_hash(one) != store.config_hash(other)
    assert len(store.config_hash(one)) == 64


@pytest.mark.parametrize(
    ("damage", "culprit"),
    [
        (lambda text: text[: len(text) // 2], "not JSON"),
        (lambda text: "", "it is empty"),
        (lambda text: "[" * 100_000, "too deep"),
        (lambda text: text.replace('"normalized": 60.0', '"normalized": 1e999'), "evaluations.normalized"),
        (lambda text: "[]", "not an object"),
        (lambda text: json.dumps({**json.loads(text), "seed": "0"}), "record.seed"),
        (lambda text: json.dumps({**json.loads(text), "surprise": 1}), "record.surprise"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "model"}), "record.model"),
        (lambda text: json.dumps({**json.loads(text), "format": 99}), "99"),
        (lambda text: text.replace('"episodes": 4', '"episodes": 4.5'), "episodes"),
        (lambda text: text.replace('"normalized": 60.0', '"normalized": NaN'), "NaN"),
    ],
)
def test_a_damaged_record_is_named_with_what_is_wrong(
    tmp_path: Path, damage: Callable[[str], str], culprit: str
) -> None:
    (record,) = write(tmp_path, made_up())
    path = tmp_path / record.name / "record.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError) as error:
        store.read_record(path.parent)
    assert str(path) in str(error.value)
    assert culprit in str(error.value)


def test_a_damaged_record_is_left_out_and_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged, whole = write(tmp_path, made_up(), made_up(seed=1))
    (tmp_path / damaged.name / "record.json").write_bytes(b"")
    assert store.read_all(tmp_path) == store.read_all(tmp_path) == [whole]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Left out: {tmp_path / damaged.name / 'record.json'}: damaged record (it is empty)")


def test_a_copied_run_is_not_counted_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = made_up()
    write(tmp_path, record)
    store.write_record(tmp_path / "a-copy", record)
    assert store.read_all(tmp_path) == [record]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Left out: {tmp_path / 'a-copy'}")


def test_unfinished_runs_are_left_out(tmp_path: Path) -> None:
    Curve(tmp_path / "dt-hopper-medium-reroll-s0-12345678").append({"update": 100, "loss/total": 1.0})
    assert store.read_all(tmp_path) == []


def test_scores_are_zero_for_the_random_policy_and_a_hundred_for_the_expert() -> None:
    assert np.allclose(made_up().protocol.score([-20.272305, 3234.3]), [0, 100])


def test_results_need_neither_torch_nor_a_simulator() -> None:
    code = (
        "import sys, report.page, report.markdown; "
        "sys.exit(any(name.split('.')[0] in ('torch', 'mujoco', 'gymnasium') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# ---- curves ---------------------------------------------------------------------------------------------------------

ROWS = [
    {"update": 100, "seconds": 1.5, "learning_rate": 1e-4, "loss/total": 0.5},
    {"update": 200, "seconds": 3.0, "learning_rate": 1e-4, "loss/total": 0.25, "return/3600": 812.5},
    {"update": 300, "seconds": 4.5, "learning_rate": 1e-4, "loss/total": 0.125},
]


def test_a_curve_reads_back_with_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    curve = Curve(tmp_path)
    for row in ROWS:
        curve.append(row)
    read = curve.read()
    assert list(read) == ["update", "seconds", "learning_rate", "loss/total", "return/3600"]
    assert read["loss/total"].tolist() == [0.5, 0.25, 0.125]
    assert np.isnan(read["return/3600"]).tolist() == [True, False, True]


def test_a_curve_of_several_data_sets_shows_each_record_its_own_returns(tmp_path: Path) -> None:
    tasks = ("hopper-medium", "walker2d-medium")
    config = {"run": {"env": tasks, "source": "reroll"}}
    records = [replace(made_up(dataset=task), config=config) for task in tasks]
    returns = {f"return/any {task}": float(place) for place, task in enumerate(tasks)}
    Curve(tmp_path / Path(records[0].name).parent).append({"update": 100, "loss/total": 0.5, **returns})
    for place, record in enumerate(records):
        read = curve_of(record, tmp_path)
        assert list(read) == ["update", "loss/total", "return/any"]
        assert read["return/any"] == [place]


@given(dead_after=st.integers(0, 3), resumed=st.integers(0, 3), torn=st.integers(0, 12))
def test_a_continued_curve_is_the_undisturbed_one(
    tmp_path_factory: pytest.TempPathFactory, dead_after: int, resumed: int, torn: int
) -> None:
    whole, killed = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("killed")
    for row in ROWS:
        Curve(whole).append(row)
    for row in ROWS[:dead_after]:
        Curve(killed).append(row)
    if dead_after:  # the process died inside a write
        path = killed / "curve.csv"
        path.write_bytes(path.read_bytes() + b"400,6.0,0.000"[:torn])
    resumed = min(resumed, dead_after)
    again = Curve(killed)
    again.truncate_from(100 * (resumed + 1))
    for row in ROWS[resumed:]:
        again.append(row)
    assert (killed / "curve.csv").read_text() == (whole / "curve.csv").read_text()


def test_numbers_of_a_curve_keep_every_digit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=20)
    curve = Curve(tmp_path)
    for update, value in enumerate(values):
        curve.append({"update": update, "loss/total": value})
    assert curve.read()["loss/total"].tolist() == values.tolist()
    assert return_column(3600.0) == "return/3600"


def test_a_damaged_curve_is_named(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("update,loss/total\n100,zero\n")
    with pytest.raises(UserError, match=r"curve\.csv"):
        Curve(tmp_path).read()


# ---- statistics -----------------------------------------------------------------------------------------------------


def test_the_interquartile_mean_ignores_the_outer_quarters() -> None:
    assert interquartile_mean(np.array([-1000.0, 1, 2, 3, 4, 5, 6, 1000])) == 3.5
    assert interquartile_mean(np.array([1.0, 2, 6])) == 3.0  # a quarter of three is none
    assert interquartile_mean(np.array([[4.0, 0, 2, 100], [1, 1, 1, 1]])).tolist() == [3.0, 1.0]


def test_seeds_without_spread_have_an_interval_without_width() -> None:
    assert bootstrap_interval([np.full(5, 61.5)]) == (61.5, 61.5)


def test_the_bootstrap_of_two_seeds_is_known() -> None:
    low, high = bootstrap_interval([np.array([10.0, 20.0])])  # the mean is 10, 15 or 20, with chances 1/4, 1/2, 1/4
    assert (low, high) == (10.0, 20.0)
    assert bootstrap_interval([np.array([10.0, 20.0])], confidence=0.4) == (15.0, 15.0)


def test_the_bootstrap_never_mixes_tasks() -> None:
    tasks = [np.zeros(4), np.full(4, 100.0)]  # pooled, a resample could hold eight zeros
    assert bootstrap_interval(tasks) == (50.0, 50.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = [low < 50 < high for low, high in (bootstrap_interval([rng.normal(50, 5, 20)]) for _ in range(100))]
    assert 85 <= sum(covered) <= 99


def test_our_statistics_are_those_of_rliable() -> None:
    rliable = pytest.importorskip("rliable.library")
    metrics = pytest.importorskip("rliable.metrics")
    scores = np.random.default_rng(0).normal(60, 8, (10, 3))  # (seeds, tasks)
    points, intervals = rliable.get_interval_estimates(
        {"dt": scores},
        lambda table: np.array([metrics.aggregate_iqm(table)]),
        reps=4000,
        random_state=np.random.RandomState(0),
    )
    low, high = bootstrap_interval(list(scores.T))
    assert interquartile_mean(scores.ravel()) == pytest.approx(points["dt"][0])
    assert (low, high) == pytest.approx(tuple(intervals["dt"][:, 0]), abs=0.25)


def test_a_performance_profile_weighs_every_task_alike() -> None:
    tasks = [np.array([10.0, 30.0]), np.array([30.0, 30.0, 30.0, 50.0])]
    levels = np.array([0.0, 10.0, 30.0, 50.0])
    assert performance_profile(tasks, levels).tolist() == [1.0, 0.75, 0.125, 0.0]  # above, not at
    low, high = profile_interval(tasks, levels)
    assert low[0] == high[0] == 1.0
    assert low[1] == 0.5  # both seeds of the first task drawn at 10
    assert high[1] == 1.0


def test_the_probability_of_improvement_counts_pairs_of_one_task_and_ties_by_half() -> None:
    assert probability_of_improvement([np.array([2.0, 3.0])], [np.array([1.0, 2.0])]) == (1 + 0.5 + 1 + 1) / 4
    ours, theirs = [np.array([1.0]), np.array([9.0, 9.0])], [np.array([0.0, 0.0]), np.array([10.0])]
    assert probability_of_improvement(ours, theirs) == 0.5  # never a run of one task against one of another
    assert improvement_interval([np.array([2.0, 2.0])], [np.array([1.0, 1.0])]) == (1.0, 1.0)


def test_the_interval_of_improvement_is_that_of_all_pairs_in_each_draw() -> None:
    rng = np.random.default_rng(3)
    tasks = [(rng.integers(0, 5, size).astype(float), rng.integers(0, 5, 4).astype(float)) for size in (3, 6)]  # ties
    first, second = zip(*tasks, strict=True)
    drawn = zip(resampled(first), resampled(second, seed=1), strict=True)
    pairs = [((one[:, :, None] > other[:, None]) + 0.5 * (one[:, :, None] == other[:, None])) for one, other in drawn]
    low, high = np.quantile(np.mean([each.mean((1, 2)) for each in pairs], axis=0), [0.025, 0.975])
    assert improvement_interval(first, second) == (low, high)


def test_profiles_and_improvement_are_those_of_rliable() -> None:
    library, metrics = pytest.importorskip("rliable.library"), pytest.importorskip("rliable.metrics")
    rng = np.random.default_rng(2)
    ours, theirs = rng.normal(60, 8, (5, 3)), rng.normal(55, 8, (4, 3))  # (seeds, tasks)
    levels = np.linspace(30, 90, 13)
    profiles, intervals = library.create_performance_profile({"dt": ours}, levels, reps=1000)
    assert performance_profile(list(ours.T), levels) == pytest.approx(profiles["dt"])
    assert profile_interval(list(ours.T), levels) == pytest.approx(intervals["dt"], abs=0.11)
    assert probability_of_improvement(list(ours.T), list(theirs.T)) == pytest.approx(
        metrics.probability_of_improvement(ours, theirs)
    )


def test_one_seed_has_neither_deviation_nor_interval() -> None:
    summary = summarize([61.0])
    assert (summary.seeds, summary.mean) == (1, 61.0)
    assert summary.std is summary.iqm is summary.low is summary.high is None


def test_the_deviation_is_over_seeds_with_one_less_in_the_denominator() -> None:
    summary = summarize([60.0, 62.0, 64.0])
    assert (summary.mean, summary.std, summary.iqm) == (62.0, 2.0, 62.0)


# ---- published ------------------------------------------------------------------------------------------------------


def test_every_published_number_names_its_source() -> None:
    for column in published():
        assert column.url.startswith("https://")
        assert column.paper
        assert column.error
        assert column.checkpoint
        assert all(len(score) in (1, 2) for score in column.scores.values())
        assert column.error == "none stated" or all(len(score) == 2 for score in column.scores.values())


def test_published_averages_are_those_that_the_papers_print() -> None:
    def average(name: str) -> Any:
        (column,) = (column for column in published() if column.id == name)
        return np.mean([score[0] for score in column.scores.values()])

    assert average("dt_paper") == pytest.approx(74.7, abs=0.06)  # Chen et al., Table 2, without Reacher
    assert average("tt_quantile") == pytest.approx(78.9, abs=0.06)  # Janner et al., Table 1
    assert average("tt_uniform") == pytest.approx(72.6, abs=0.06)
    assert average("dt_corl") == pytest.approx(73.84, abs=0.01)  # CORL's README
    assert average("bc_corl") == pytest.approx(50.40, abs=0.01)
    assert average("bc10_corl") == pytest.approx(69.29, abs=0.01)
    assert average("iql_corl") == pytest.approx(81.63, abs=0.01)
    assert average("td3bc_corl") == pytest.approx(76.45, abs=0.01)
