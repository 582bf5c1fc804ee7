"""training/staleness.py, report/migration.py: records stay valid until something that they measured is changed."""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from decision_transformer.config import Config
from decision_transformer.model import DecisionTransformer
from report import grid, migration, store
from report.store import Record
from tests.records import made_up
from training import settings, staleness
from training.grid import plan, state
from training.suites import Suite
from trajectories.catalog import dataset

RUNS = Path(__file__).resolve().parent.parent / "results" / "runs"
COMMAND = "python experiments/run.py --model dt --env hopper-medium --source reroll"


def recorded(command: str = COMMAND, **settings: Any) -> Record:
    """A record of what the plain command runs today, but for `settings` of the model."""
    (run,) = plan(Suite(("dt",), ("hopper-medium",), (0,), "reroll"))
    config = store.plain(run.settings.resolved())
    config["run"].update(precision="bf16", target_returns=[3600.0, 1800.0])
    return replace(made_up(command=command), config={**config, "model": {**config["model"], **settings}, "data": "d"})


def why(record: Record) -> list[str]:
    return staleness.stale([record]).get(record.name, [])


# ---- staleness ------------------------------------------------------------------------------------------------------


def test_a_record_is_stale_when_its_models_numbers_were_changed_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why(recorded()) == []
    monkeypatch.setattr(DecisionTransformer, "NUMERICS", 2)
    assert why(recorded()) == ["the numbers of dt were changed since: NUMERICS 1, today 2"]
    assert why(replace(recorded(), numerics=2)) == []


def test_a_record_is_stale_when_its_command_means_other_settings_today() -> None:
    assert why(recorded(context=40)) == ["its command now means context 20"]
    assert why(recorded(f"{COMMAND} --context 40", context=40)) == []
    assert why(recorded(f"{COMMAND} --preset paper")) == [
        "its command now means learning_rate 0.0001, final_lr_fraction 1.0, updates 100000"
    ]


def test_a_record_is_stale_when_other_data_would_be_recorded_today() -> None:
    collected = replace(recorded(), dataset="hopper-medium", source="collected")
    ours = {"digest": "d", "steps": dataset("hopper-medium").collected_steps}
    (reason,) = why(replace(collected, data={**ours, "policy": "a" * 64}))
    assert reason == "its data were recorded by other policies than today's"
    (reason,) = why(replace(collected, data={"digest": "d", "steps": 7}))
    assert reason == f"its data hold 7 steps, and today's {ours['steps']:,}"
    assert why(replace(collected, data=ours)) == []


def test_nothing_that_a_record_says_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hostile_module.py").write_text("raise SystemExit('it ran')\n")
    monkeypatch.syspath_prepend(tmp_path)
    name = "hostile_module:Env-v0"
    record = replace(recorded(f"{COMMAND} --env x@{name}"), dataset=f"x@{name}", env=name)
    assert why(record) == []
    assert why(replace(record, model=name)) == []
    several = replace(record, config={"model": {}, "run": {"env": [f"x@{name}", f"y@{name}"]}})
    assert why(several)[0].startswith("its command now means")
    assert "hostile_module" not in sys.modules


def test_no_command_line_is_parsed_for_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    record = recorded(f"{COMMAND} --context 40", context=40)
    monkeypatch.setattr(settings.tyro, "cli", lambda *_, **__: pytest.fail("a command line was parsed"))
    assert why(record) == []


# ---- old names ------------------------------------------------------------------------------------------------------


def committed() -> list[Record]:
    return store.read_all(RUNS)


def test_every_committed_record_is_found_where_its_own_settings_lead() -> None:
    assert {record.name for record in committed()} == {
        path.parent.relative_to(RUNS).as_posix() for path in RUNS.rglob(store.RECORD)
    }


def test_every_setting_is_in_every_committed_record_or_the_migration_table() -> None:
    for record in committed():
        entry = staleness.entry_of(record)
        assert entry is not None
        names = [field.name for field in fields(entry.config)]
        assert set(migration.current(record.model, record.config["model"], names)) == set(names), record.name


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `context` had been `window` when the records were made, and `heads` had not been there."""
    monkeypatch.setitem(migration.RENAMED, "window", "context")
    monkeypatch.setitem(migration.ADDED, "dt", {"heads": 1})


def older(record: Record) -> dict[str, Any]:
    """A record as JSON, in the first format and under the old names."""
    text = json.dumps(store.plain(store.asdict(record)))
    for old, new in (migration.RENAMED | migration.FIELDS).items():
        text = text.replace(f'"{new}"', f'"{old}"')
    row = json.loads(text)
    del row["numerics"], row["spec"], row["config"]["model"]["heads"]
    for added in migration.ADDED["run"]:
        del row["config"]["run"][added]
    return row | {"format": 1, "command": f"{COMMAND} --window 40"}


@pytest.mark.usefixtures("renamed")
def test_a_record_of_old_names_is_read_under_those_of_today(tmp_path: Path) -> None:
    (tmp_path / store.RECORD).write_text(json.dumps(older(recorded(context=40))))
    record = store.read_record(tmp_path)
    assert record.config["model"]["context"] == 40
    assert "window" not in record.config["model"]
    assert record.command == f"{COMMAND} --context 40"
    assert (record.format, record.numerics) == (store.FORMAT, 1)
    assert why(record) == []


@pytest.mark.usefixtures("renamed")
def test_a_renamed_and_an_added_setting_leave_a_run_in_its_folder_and_done(tmp_path: Path) -> None:
    row = older(recorded())
    (tmp_path / store.RECORD).write_text(json.dumps(row))
    record = store.read_record(tmp_path)
    assert record.name.endswith(f"-{store.config_hash(row['config'])[:8]}")
    (run,) = plan(Suite(("dt",), ("hopper-medium",), (0,), "reroll"))
    assert state(run, [record], {}).done
    settings = {**run.settings.resolved(), "data": "d"}
    settings["run"].update(precision="bf16", target_returns=(3600.0, 1800.0))
    assert store.run_hash("dt", settings) == store.config_hash(row["config"])  # run.py finds it, too
    assert store.run_hash("dt", {**settings, "model": {**settings["model"], "heads": 2}}) != store.run_hash(
        "dt", settings
    )


@pytest.mark.usefixtures("renamed")
def test_seeds_from_before_and_after_a_setting_was_added_share_a_cell(tmp_path: Path) -> None:
    (tmp_path / store.RECORD).write_text(json.dumps(older(recorded())))
    today = replace(recorded(), seed=1)
    (row,) = grid.rows([store.read_record(tmp_path), today])
    assert row.cells["dt"].seeds == (0, 1)


def test_no_old_name_is_a_setting_of_today_again() -> None:
    assert not set(migration.RENAMED) & {field.name for field in fields(Config)}
