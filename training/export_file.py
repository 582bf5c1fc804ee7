"""Write a model's program (exporting.py) to a file, read it back, and compare its actions with the model's own."""

import json
import logging
import warnings
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from backbone.interface import Model
from environments.make import make
from report.store import Record
from training.evaluate import episode_seeds
from training.exporting import Program, Run, program_of
from trajectories.atomic import atomic_file, make_folder, write_text
from trajectories.errors import UserError
from trajectories.types import Spec
from trajectories.windows import History

FILES = {"torch": "network.pt2", "onnx": "network.onnx"}
PACKAGES = {"torch": ("torch",), "onnx": ("onnx", "onnxscript", "onnxruntime")}
STEPS = 20  # of an episode in which actions are compared
CLOSE = 1e-3  # a difference of an action that rounding explains
AGREE = 0.95  # share of the steps that must be so close: rounding may decide between two bins that are as likely


def check_packages(to: str) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        UserError: one of them is missing.
    """
    try:
        for name in PACKAGES[to]:
            import_module(name)
    except ImportError as error:
        raise UserError(f"--to {to}: {error}: pip install -r requirements-export.txt.") from error


def export(model: Model, record: Record, folder: Path, to: str) -> dict[str, Any]:
    """Write the network of a finished run's model into `folder`, with what describes it; returns the description.

    Args:
        record: of the run, or of the data set whose environment it is for.
        to: "torch" or "onnx".

    Raises:
        UserError: the model cannot be exported, a package is missing, or the file acts otherwise than the model does.
    """
    check_packages(to)
    specs = model.spec if isinstance(model.spec, tuple) else (model.spec,)
    task = next(spec for spec in specs if len(specs) == 1 or spec.name == record.dataset)
    program = program_of(model, task)
    make_folder(folder)
    file = folder / FILES[to]
    with atomic_file(file, alone=True) as fresh:
        write(program, fresh, to)
        compared = compare(program, read(program, fresh, to), model, record, task)
        if compared["agree"] < AGREE:
            raise UserError(f"{file}: its actions agree with the model's in {compared['agree']:.0%} of {STEPS} steps "
                            f"only, so nothing was written: choose another --to.")  # fmt: skip
    described = {
        "run": record.name,
        "model": record.model,
        "data set": record.dataset,
        "file": file.name,
        "most steps": program.steps,
        **program.describe(),
        "spec": task.to_json(),
        "compared": compared,
        "versions": {name: version(name) for name in ("torch", *PACKAGES[to])},
    }
    write_text(file.with_suffix(".json"), json.dumps(described, indent=1) + "\n")
    write_text(folder / "README.md", explained(described))
    return described


def write(program: Program, path: Path, to: str) -> None:
    """The program as a file; every letter in a shape may be any size."""
    sizes = {"B": 2, "T": min(3, program.steps)}
    letters = {"B": Dim("B"), "T": Dim("T", max=program.steps) if program.steps > 1 else None}
    shapes = [
        {place: letters[size] for place, size in enumerate(port.shape) if isinstance(size, str)}
        for port in program.inputs
    ]
    examples = tuple(port.example(sizes) for port in program.inputs)
    with torch.no_grad():
        exported = torch.export.export(program, examples, dynamic_shapes={"inputs": tuple(shapes)})
        if to == "torch":
            torch.export.save(exported, path)
        else:
            to_onnx(exported, program, path)


def to_onnx(exported: ExportedProgram, program: Program, path: Path) -> None:
    """Translate an exported program; what torch says of packages that are not needed here is not shown."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            exported,
            (),
            path,
            input_names=[port.name for port in program.inputs],
            output_names=[program.output.name],
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def read(program: Program, path: Path, to: str) -> Run:
    """The program as it lies in a file."""
    if to == "torch":
        return torch.export.load(path).module()
    onnxruntime: Any = import_module("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> Tensor:
        given = {port.name: each.numpy() for port, each in zip(program.inputs, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


@torch.no_grad()
def compare(program: Program, run: Run, model: Model, record: Record, task: Spec) -> dict[str, Any]:
    """How the program's likeliest actions differ from the model's, over the first steps of an episode that it plays."""
    usual = model.config
    model.config = replace(usual, **{name: value for name, value in program.greedy.items() if name in usual.acting})
    target = next(iter(record.protocol.target_returns), 0.0)
    which: dict[str, Any] = {"task": task.name} if isinstance(model.spec, tuple) else {}
    player = model.player(1, target, 0, **which)
    history = History(task, 1, target, longest=program.steps)
    environments = make(record.env, 1, record.protocol.physics)
    observations, rewards, live = environments.reset(episode_seeds(1)), np.zeros(1), np.ones(1, bool)
    gaps: list[float] = []
    while live.all() and len(gaps) < STEPS:
        history.observe(observations, rewards, live)
        actions = player.act(observations, rewards, live)
        own = program.action(run, player, observations, history)
        gaps.append(float(np.abs(own.astype(np.float64) - actions[0]).max()))
        history.record(actions, live)
        step = environments.step(actions, live)
        observations, rewards, live = step.observations, step.rewards, ~(step.terminated | step.truncated)
    environments.close()
    model.config = usual
    close = [gap for gap in gaps if gap <= CLOSE]
    return {"steps": len(gaps), "agree": len(close) / len(gaps), "largest difference": max(gaps)}


def explained(described: dict[str, Any]) -> str:
    """README.md beside the file."""

    def lines(ports: list[dict[str, Any]]) -> str:
        return "\n".join(
            f"| `{port['name']}` | {port['dtype']} | ({', '.join(map(str, port['shape']))}) | {port['meaning']} |"
            for port in ports
        )

    head = "| name | type | shape | meaning |\n| :--- | :--- | :--- | :--- |"
    compared = described["compared"]
    return f"""# {described["file"]}: {described["model"]} on {described["data set"]}

Exported from {described["run"]}. B: windows, any number. T: steps, at most {described["most steps"]}.
Numbers are raw: normalization and bins are inside, in float32. network.json has the same and more:
of a Gato the prompt that it acts by, of a Trajectory Transformer the edges of its bins.

Inputs

{head}
{lines(described["inputs"])}

Output

{head}
{lines(described["outputs"])}

Compared with the model over the first {compared["steps"]} steps of an episode that it played, by the likeliest actions:
{compared["agree"]:.0%} of them agree; the largest difference is {compared["largest difference"]:.2g}.
"""
