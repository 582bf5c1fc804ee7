"""experiments/report.py: what it writes where, that it finds it again, and that nothing damaged stops it."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments import report
from report import figures, markdown, table
from report.curve import Curve, curves_of
from tests.records import made_up, write
from tests.test_report import seeds
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for record in write(tmp_path / "results" / "runs", *seeds(60.0, 64.0), made_up(model="bc", targets=(None,))):
        curve = Curve(tmp_path / "results" / "runs" / record.name)
        for update in (100, 200, 300):
            column = "return/3600" if record.model == "dt" else "return/any"
            curve.append({"update": update, "seconds": 1.0, "loss/total": 30 / update, column: 5.0 * update})
    for name in ("README.md", "README_zh.md"):
        (tmp_path / name).write_text(f"# Title\n\n{markdown.BEGIN}\nold\n{markdown.END}\n\nThe end.\n")
    return tmp_path


def run_report(root: Path, *options: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "experiments" / "report.py"), "--results-dir", str(root / "results" / "runs")]
    return subprocess.run([*command, *options], capture_output=True, text=True, cwd=folder, check=False)


def test_the_report_is_written_then_found_fresh_then_found_stale(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    stale = run_report(repository, "--check", "--readme", folder=elsewhere)
    assert stale.returncode == 1
    assert len(stale.stdout.splitlines()) == 1
    written = run_report(repository, "--readme", folder=elsewhere)
    assert written.returncode == 0, written.stderr
    assert run_report(repository, "--check", "--readme").returncode == 0
    readme = (repository / "README.md").read_text()
    assert readme.startswith("# Title\n")
    assert readme.endswith("The end.\n")
    assert "62.0 ± 2.8" in readme
    (repository / "README_zh.md").write_text(readme.replace("62.0", "72.0"))
    stale = run_report(repository, "--check", "--readme")
    assert stale.returncode == 1
    assert "README_zh.md" in stale.stdout
    assert "README.md" not in stale.stdout


def test_a_report_reads_and_writes_the_readmes_only_with_its_option(repository: Path) -> None:
    before = (repository / "README.md").read_text()
    assert report.main(report.Options(repository / "results" / "runs", figures=False)) == 0
    assert (repository / "README.md").read_text() == before
    assert report.main(report.Options(repository / "results" / "runs", check=True, figures=False)) == 1  # no figures
    with pytest.raises(UserError, match="--readme"):
        report.main(report.Options(write_elsewhere(repository / "mine" / "runs"), readme=True))


def write_elsewhere(runs: Path) -> Path:
    write(runs, *seeds(60.0))
    return runs


def test_a_report_of_runs_elsewhere_lies_beside_them(tmp_path: Path) -> None:
    runs = write_elsewhere(tmp_path / "mine")
    assert report.main(report.Options(runs, figures=False)) == 0
    assert {path.name for path in runs.iterdir() if path.is_file()} == {
        "table.md", "table.csv", "table.tex", "index.html",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_a_report_of_no_folder_is_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "runs").touch()
    with pytest.raises(UserError, match=r"--results-dir .*runs: there is no such folder"):
        report.main(report.Options(tmp_path / "runs"))


def test_damaged_records_curves_and_prompts_are_named_and_the_rest_is_reported(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = repository / "results" / "runs"
    cut, empty, whole = sorted(runs.glob("*/record.json"))
    cut.write_text("{")
    empty.write_bytes(b"")
    (whole.parent / "curve.csv").write_bytes(b"\xff\xfe")
    (whole.parent / "prompts.json").write_text("[]")
    assert report.main(report.Options(runs)) == 0
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 4
    assert f"{cut}: damaged record (it is not JSON" in errors[0]
    assert f"{empty}: damaged record (it is empty)" in errors[1]
    assert "curve.csv: damaged curve" in errors[2]
    assert "prompts.json: damaged" in errors[3]
    assert "64.0" in (runs.parent / "table.md").read_text()
    assert [path.name for path in sorted((runs.parent / "figures").glob("*.svg"))] == [
        "compute-hopper-medium-reroll.svg", "episodes-hopper-medium-reroll.svg", "targets-hopper-medium-reroll.svg",
    ]  # fmt: skip


def test_only_figures_of_changed_records_are_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = made_up(seed=0, score=60.0), made_up(dataset="walker2d-medium", seed=0, score=60.0)
    figures.draw(tmp_path, {}, table.report([one, other]))
    saved = []
    monkeypatch.setattr(figures, "save", lambda figure, path, inputs: saved.append(path.stem))
    figures.draw(tmp_path, {}, table.report([one, other]))
    assert saved == []
    figures.draw(tmp_path, {}, table.report([one, made_up(dataset="walker2d-medium", seed=0, score=61.0)]))
    assert {name.split("-")[1] for name in saved} == {"walker2d"}
    (tmp_path / f"{saved[0]}.svg").write_text("<svg/>")
    saved.clear()
    figures.draw(tmp_path, {}, table.report([one, other]))
    assert len(saved) == 1
    saved.clear()
    monkeypatch.setattr("report.plotting.code", lambda: b"another version")
    drawn = figures.draw(tmp_path, {}, table.report([one, other]))
    assert sorted(saved) == sorted(path.stem for path in drawn)


def test_the_same_records_give_the_same_figures_and_old_ones_go(repository: Path) -> None:
    folder = repository / "results" / "figures"
    records = [made_up(seed=0, score=60.0), made_up(seed=1, score=64.0), made_up(model="bc", targets=(None,))]
    curves = curves_of(records, repository / "results" / "runs")
    folder.mkdir()
    (folder / "episodes-of-long-ago.svg").touch()
    drawn = figures.draw(folder, curves, table.report(records))
    assert sorted(folder.iterdir()) == sorted(drawn)
    assert {path.stem.split("-")[0] for path in drawn} == {"learning", "loss", "episodes", "targets", "compute"}
    before = {path: path.read_bytes() for path in drawn}
    for path in drawn:
        path.unlink()
    figures.draw(folder, curves, table.report(records))
    assert {path: path.read_bytes() for path in drawn} == before
