"""experiments/export.py: the file acts as the model does, takes any number of windows, and says what it needs."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch

from experiments import export, play, run
from tests.test_training import SIZES, words
from tests.toys import CHOICES, MISSION, POINT, SCREEN, small, walk
from training import checkpoint, export_file
from training.checkpoint import load_model
from training.exporting import program_of
from training.run_lock import ROUNDED, WEIGHTS
from trajectories.errors import UserError
from trajectories.types import Spec


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each model."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJECTORIES_DIR", str(tmp_path_factory.mktemp("data")))
        for model, sizes in SIZES.items():
            folder = tmp_path_factory.mktemp(model)
            run.main([*words(model, folder, *sizes), "--evaluate-every", "0"])
            (found[model],) = folder.iterdir()
    return found


@pytest.fixture(autouse=True)
def sizes_may_be_letters() -> Iterator[None]:
    """Tracing calls functions with sizes that are no numbers yet, which the tests' checks of types do not know."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("model", "to"), [("bc", "torch"), ("dt", "torch"), ("tt", "torch"), ("gato", "torch"), ("dt", "onnx")]
)
def test_the_file_acts_as_the_model_does(runs, model, to, tmp_path, capsys):
    if to == "onnx":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: requirements-export.txt")
    out = tmp_path / "out"
    export.main(export.Options(runs[model], to=to, out=out))
    assert "100% of its actions in 20 steps" in capsys.readouterr().out
    file = export_file.FILES[to]
    assert sorted(each.name for each in out.iterdir()) == ["README.md", "network.json", file]
    described = json.loads((out / "network.json").read_text())
    explained = (out / "README.md").read_text()
    assert described["compared"]["agree"] == 1.0
    assert described["run"] == runs[model].name
    for port in (*described["inputs"], *described["outputs"]):
        assert f"| `{port['name']}` | {port['dtype']} | ({', '.join(map(str, port['shape']))})" in explained
    assert ("prompt" in described) == (model == "gato")  # which acts by it
    program = program_of(loaded := load_model(runs[model]), loaded.spec)  # type: ignore[arg-type]
    agrees_with(program, export_file.read(program, out / file, to))


def test_the_prompt_that_a_gato_acts_by_is_described(runs, tmp_path):
    export.main(export.Options(runs["gato"], to="torch", out=tmp_path / "out"))
    prompt = json.loads((tmp_path / "out" / "network.json").read_text())["prompt"]
    kept = load_model(runs["gato"]).demonstration(0)  # type: ignore[operator]  # Gato's
    assert prompt["observations"] == kept.observations[0].tolist()  # the best episode's end
    assert len(prompt["actions"]) == len(prompt["timesteps"]) == 2


def agrees_with(program: Any, read: Any) -> None:
    """What was read back gives what the program gives, for any number of windows and steps."""
    for windows, steps in ((1, 1), (5, program.steps)):
        inputs = [port.example({"B": windows, "T": steps}) for port in program.inputs]
        with torch.no_grad():
            torch.testing.assert_close(read(*inputs), program(*inputs))


@pytest.mark.parametrize(
    ("model", "spec"),
    [("bc", CHOICES), ("dt", CHOICES), ("gato", CHOICES), ("tt", CHOICES), ("bc", SCREEN), ("dt", SCREEN)],
    ids=lambda value: getattr(value, "name", value),
)
def test_choices_and_screens_can_be_exported_too(model: str, spec: Spec, tmp_path: Path) -> None:
    data = walk((12, 5, 12), spec=spec)
    program = program_of(small(model, data), spec)
    export_file.write(program, tmp_path / "network.pt2", "torch")
    agrees_with(program, export_file.read(program, tmp_path / "network.pt2", "torch"))


def test_the_file_of_a_gato_of_embedded_vectors_acts_as_the_model_does(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRAJECTORIES_DIR", str(tmp_path / "data"))
    run.main([*words("gato", tmp_path / "runs", *SIZES["gato"]), "--vectors", "embedded"])
    (made,) = (tmp_path / "runs").iterdir()
    export.main(export.Options(made, to="torch", out=tmp_path / "out"))
    assert "100% of its actions in 20 steps" in capsys.readouterr().out


def test_a_file_that_acts_otherwise_is_not_kept(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(export_file, "read", lambda program, *_: lambda *inputs: torch.full((1, 1), 2.0))
    with pytest.raises(UserError, match="agree with the model's in 0% of 20 steps"):
        export.main(export.Options(runs["bc"], to="torch", out=tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("model", "spec", "why"),
    [
        ("nearest", POINT, "it is no network"),
        ("gato", SCREEN, "images are made tokens"),
        ("tt", SCREEN, "images are made tokens"),
        ("dt", MISSION, "text and parts are made numbers"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_model_that_cannot_be_exported_says_so(model: str, spec: Spec, why: str) -> None:
    with pytest.raises(UserError, match=rf"cannot be exported: {why}"):
        program_of(small(model, walk((12, 5), spec=spec)), spec)


def test_a_package_that_is_missing_is_named_before_anything_is_loaded(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(export_file, "export", lambda *_: pytest.fail("it was exported"))
    with pytest.raises(UserError, match=r"--to onnx: .*pip install -r requirements-export.txt"):
        export.main(export.Options(runs["bc"], to="onnx", out=tmp_path / "out"))


# ---- weights for git ------------------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def rounded(runs: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A run as it is after cloning: its record and its rounded weights, and not its checkpoint."""
    made = Path(shutil.copytree(runs[request.param], tmp_path / runs[request.param].name))
    export.main(export.Options(made, to="weights"))
    (made / WEIGHTS).unlink()
    return made


@pytest.mark.parametrize("rounded", SIZES, indirect=True)
def test_rounded_weights_act_nearly_as_the_trained_ones(runs, rounded, capsys):
    ours, theirs = load_model(rounded), load_model(runs[rounded.name.partition("-")[0]])
    assert capsys.readouterr().out.splitlines() == [
        f"{rounded / ROUNDED}: weights rounded to bfloat16, so that returns may differ from the record's."
    ]
    for (name, one), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        assert torch.equal(one, other), name
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=2**-8, atol=0, msg=name)
    data = walk((12, 12, 8), spec=ours.spec)
    losses = [
        float(each.loss(each.sample(data, np.random.default_rng(0)))["total"].detach())  # type: ignore[operator]
        for each in (ours, theirs)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    players = [each.player(1, 5.0, 0) for each in (ours, theirs)]
    observations = np.linspace(-1, 1, 2, dtype=np.float32)[None]
    acts = [each.act(observations, np.zeros(1), np.ones(1, bool)) for each in players]
    np.testing.assert_allclose(*acts, atol=0.02)


@pytest.mark.parametrize("rounded", ["gato"], indirect=True)
def test_a_run_with_rounded_weights_only_is_played(rounded, capsys):
    play.main(play.Options(rounded, episodes=2))
    output = capsys.readouterr().out
    assert output.count("weights rounded to bfloat16") == 1
    assert "\nepisode 1: return" in output


def test_one_file_of_weights_serves_all_tasks_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRAJECTORIES_DIR", str(tmp_path / "data"))
    tasks = ("--env", "toy-medium", "toy-expert", "--evaluate-every", "0")
    run.main([*words("gato", tmp_path / "runs", *SIZES["gato"]), *tasks])
    (made,) = (tmp_path / "runs").iterdir()
    export.main(export.Options(made, to="weights"))
    assert re.search(rf"{ROUNDED}: 0\.\d\d MB, for git add", capsys.readouterr().out)
    (made / WEIGHTS).unlink()
    assert [path.parent for path in made.rglob("*.safetensors")] == [made]
    play.main(play.Options(made, env="toy-expert"))
    assert "on toy-expert" in capsys.readouterr().out


def test_weights_that_are_too_large_for_git_are_not_written(runs, monkeypatch):
    monkeypatch.setattr(checkpoint, "MOST", 1_000)
    with pytest.raises(UserError, match=r"would have 0\.\d MB, and git takes 0\.001 MB"):
        export.main(export.Options(runs["bc"], to="weights"))
    with pytest.raises(UserError, match="--out is elsewhere"):
        export.main(export.Options(runs["bc"], to="weights", out=Path("elsewhere")))
    assert not list(runs["bc"].glob(f"*{ROUNDED}*"))


def test_a_training_removes_the_rounded_weights_of_another(runs, tmp_path):
    (tmp_path / ROUNDED).touch()
    checkpoint.save_model(tmp_path, "bc", load_model(runs["bc"]))
    assert not (tmp_path / ROUNDED).exists()


def test_git_takes_rounded_weights_and_no_others(tmp_path):
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    files = [f"results/runs/some-run/{name}" for name in (WEIGHTS, ROUNDED, "state.safetensors")]
    done = subprocess.run(["git", "check-ignore", *files], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [files[0], files[2]]


def test_the_weights_in_git_are_small_and_their_runs_can_be_played():
    files = sorted((ROOT / "results" / "runs").glob(f"*/{ROUNDED}"))
    assert all(file.stat().st_size <= checkpoint.MOST for file in files)
    assert sum(file.stat().st_size for file in files) < 15e6
    for file in files:
        play.finished(file.parent, play.task_of(file.parent))
        load_model(file.parent)
