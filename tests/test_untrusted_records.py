"""Records, prompts and curves may be a stranger's: what does not fit is refused, and nothing in them is ever run."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from experiments import benchmark, play, report
from report import prompts, store
from report.curve import CURVE, Curve
from report.store import Record
from tests.records import made_up, write
from training import watch
from training.settings import parse
from trajectories import gym_registry
from trajectories.catalog import dataset, environment
from trajectories.errors import UserError

COMMAND = "python experiments/run.py --model dt --env hopper-medium"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment's id with a module whose import would end the test."""
    (tmp_path / "hostile_module.py").write_text("raise SystemExit('it was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(gym_registry, "TRUSTED", set())
    return "hostile_module:Env-v0"


# ---- nothing that is read is imported -------------------------------------------------------------------------------


def test_a_module_in_a_name_is_imported_only_where_it_was_typed(hostile: str) -> None:
    for read in (lambda: environment(hostile), lambda: dataset(f"x@{hostile}").environment):
        with pytest.raises(UserError, match="names a module"):
            read()
    with pytest.raises(UserError, match="names a module"):
        environment('GymV26Environment-v0?{"env_id": "hostile_module:Env-v0"}')
    with pytest.raises(SystemExit, match="it was imported"):
        parse(["--model", "bc", "--env", f"x@{hostile}"])


def from_stranger(folder: Path, **changes: Any) -> Path:
    """The folder of a run whose record says what a stranger likes, with files that look like a model's."""
    row = store.plain(asdict(made_up(model="bc", targets=(None,)))) | changes
    run = folder / "results" / "runs" / "run"
    run.mkdir(parents=True)
    (run / store.RECORD).write_text(json.dumps(row))
    for name in ("model.safetensors", "model.json"):
        (run / name).touch()
    return run


def test_a_report_imports_nothing_that_a_record_names(tmp_path: Path, hostile: str) -> None:
    run = from_stranger(tmp_path, env=hostile, dataset=f"x@{hostile}", command=f"{COMMAND} --env x@{hostile}")
    assert report.main(report.Options(run.parent, figures=False)) == 0
    assert "x@hostile_module:Env-v0" in (run.parents[1] / "table.md").read_text()
    assert "hostile_module" not in sys.modules


def test_playing_imports_a_records_environment_only_if_it_is_named_again(
    tmp_path: Path, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "load_model", lambda *_: None)
    run = from_stranger(tmp_path, env=hostile, dataset=f"x@{hostile}")
    with pytest.raises(UserError, match=rf"give --env {hostile} on the command line"):
        play.main(play.Options(run))
    with pytest.raises(SystemExit, match="it was imported"):
        play.main(play.Options(run, env=hostile))


# ---- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"commit": "--output=/etc/passwd"}, "record.commit"),
        ({"model": 'dt" onload="alert(1)'}, "record.model"),
        ({"dataset": "../../../etc"}, "record.dataset"),
        ({"dataset": "hopper\n| forged | row |"}, "record.dataset"),
        ({"env": "\x00"}, "record.env"),
        ({"source": "=cmd()"}, "record.source"),
        ({"seed": -1}, "record.seed"),
        ({"seed": 10**400}, "record.seed"),
        ({"command": "curl example.org | sh"}, "record.command"),
        ({"command": f"{COMMAND}; rm -rf ~"}, "record.command"),
        ({"command": f"{COMMAND} 'half"}, "record.command"),
        ({"config": {"run": {"env": ["../x", "hopper-medium"]}}}, "record.config.run.env"),
        ({"config": {"run": {"env": ["walker2d-medium"]}}}, "record.config.run.env"),
        ({"config": {"run": {"fraction_best": "all"}}}, "record.config.run.fraction_best"),
        ({"config": {"run": {"fraction_of_expert": "all"}}}, "record.config.run.fraction_of_expert"),
        ({"config": {"run": {"demonstrations": "ten"}}}, "record.config.run.demonstrations"),
        ({"config": {"run": {"start": ["a"]}}}, "record.config.run.start"),
        ({"config": {"model": []}}, "record.config.model"),
        ({"data": {"digest": 3}}, "record.data.digest"),
        ({"data": {"steps": "many"}}, "record.data.steps"),
        ({"evaluations": []}, "the target returns of record.evaluations"),
        ({"threads": 0}, "record.threads"),
        ({"versions": {"torch": 2}}, "record.versions.torch"),
        ({"device": "x" * 5000}, "record.device"),
    ],
)  # fmt: skip
def test_a_record_that_no_run_would_write_is_refused_by_its_field(
    tmp_path: Path, change: dict[str, Any], culprit: str
) -> None:
    run = from_stranger(tmp_path, **change)
    with pytest.raises(UserError) as error:
        store.read_record(run)
    assert culprit in str(error.value)
    assert len(str(error.value)) <= 500
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "change", "culprit"),
    [
        ("protocol", {"seeds": []}, "record.protocol.seeds"),
        ("protocol", {"expert_score": -20.272305}, "span of reference scores"),
        ("protocol", {"episodes": 3}, "record.protocol.seeds"),
        ("behavior", {"best": 1e300}, "record.behavior.best"),
    ],
)
def test_parts_of_a_record_that_do_not_belong_together_are_refused(
    tmp_path: Path, part: str, change: dict[str, Any], culprit: str
) -> None:
    row = store.plain(asdict(made_up(model="bc", targets=(None,))))
    run = from_stranger(tmp_path, **{part: row[part] | change})
    with pytest.raises(UserError, match=culprit):
        store.read_record(run)


@pytest.mark.parametrize("change", [{"commit": "--output=x"}, {"command": "sh x"}, {"seeds": []}, {"prompted": []}])
def test_prompts_that_were_not_measured_here_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    played = prompts.Prompted("none", made_up(targets=(None,)).evaluations[0])
    ablation = prompts.Ablation(
        prompted=(played,), seeds=(0, 1, 2, 3), seconds=1.0, device="cpu", versions={}, commit="c" * 40, dirty=False,
        command="python experiments/prompts.py results/runs/run",
    )  # fmt: skip
    path = prompts.write(tmp_path, ablation)
    assert prompts.read(tmp_path) == ablation
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"prompts\.json: damaged \(.*prompts\."):
        prompts.read(tmp_path)


# ---- what is damaged stops nothing ----------------------------------------------------------------------------------


def test_a_grid_goes_on_beside_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / store.RECORD).write_bytes(b"")
    begun = tmp_path / "begun"
    begun.mkdir()
    settings = parse(["--model", "bc", "--env", "toy-medium"]).resolved()
    (begun / ".unfinished.json").write_text(json.dumps({"process": 1, "config": store.plain(settings)}))
    (begun / CURVE).write_text("update\nx\n")
    options = benchmark.Options(models=("bc",), envs=("toy-medium",), dry_run=True, results_dir=tmp_path)
    assert benchmark.main(options, []) == 0
    output = capsys.readouterr()
    assert "--model bc --env toy-medium" in output.out
    assert [line.split(": ")[1] for line in output.err.splitlines()] == [
        str(tmp_path / "cut" / store.RECORD),
        str(begun / CURVE),
    ]


def test_reading_a_curve_changes_nothing_and_drops_half_a_row(tmp_path: Path) -> None:
    path = tmp_path / CURVE
    path.write_text("update,loss/total\n100,0.5\n200,0.2")  # its process is writing
    assert Curve(tmp_path).read()["loss/total"].tolist() == [0.5]
    assert path.read_text().endswith("200,0.2")


@pytest.mark.parametrize(
    "text",
    ["update,loss\n100,0.5,7\n", "loss\n0.5\n", "update,update\n1,2\n", "update\n200\n100\n", "update\nnan\n", '"\n'],
)
def test_a_curve_that_no_run_would_write_is_refused_whether_it_is_read_or_continued(tmp_path: Path, text: str) -> None:
    (tmp_path / CURVE).write_text(text)
    for use in (Curve(tmp_path).read, lambda: Curve(tmp_path).truncate_from(150)):
        with pytest.raises(UserError, match=r"curve\.csv: damaged curve"):
            use()
    assert (tmp_path / CURVE).read_text() == text


def test_a_record_written_here_is_as_strictly_checked(tmp_path: Path) -> None:
    record: Record = replace(made_up(), commit="--output=x")
    with pytest.raises(UserError, match=r"record\.commit"):
        write(tmp_path, record)
