"""experiments/export.py: the file acts as the model does, takes any number of windows, and says what it needs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch

from experiments import export, run
from tests.test_training import SIZES, words
from tests.toys import CHOICES, MISSION, POINT, SCREEN, small, walk
from training import export_file
from training.checkpoint import load_model
from training.exporting import program_of
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
