"""A finished run's network for other programs: python experiments/export.py results/runs/<run> --to onnx

    python experiments/export.py results/runs/<run> --to torch      # torch.export's format
    python experiments/export.py results/runs/<run> --to weights    # in bfloat16, small enough for git
    pip install -r requirements-export.txt                          # what --to onnx needs

A network is read back, through onnxruntime or torch, and its actions are compared with the model's own over the first
steps of an episode. Beside it README.md and a .json name the inputs, their shapes, and what they mean. Weights lie
beside the record, and play.py reads them where the checkpoint is not there.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from experiments.play import finished, task_of
from training.cli import exit_on_user_error
from trajectories.errors import UserError


@dataclass(frozen=True)
class Options:
    """Export a finished run's network."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of the run, results/runs/<run>"""
    to: Literal["onnx", "torch", "weights"] = "onnx"
    """format of the file: onnx, torch for torch.export's, or weights for what play.py reads after cloning"""
    env: str | None = None
    """which of its data sets' environments it is for, where it has learned several"""
    out: Path | None = None
    """folder for the file and what describes it, if not export/ in the run's"""


def main(options: Options) -> None:
    """Export what the options say; torch is imported once there is something to export."""
    if options.to == "weights":
        return write_weights(options)
    record = finished(options.run, options.env)
    from training.checkpoint import load_model
    from training.export_file import check_packages, export

    check_packages(options.to)
    folder = options.out or options.run / "export"
    described = export(load_model(options.run), record, folder, options.to)
    compared = described["compared"]
    print(
        f"{folder / described['file']}: {compared['agree']:.0%} of its actions in {compared['steps']} steps are the "
        f"model's, the largest difference is {compared['largest difference']:.2g}. README.md beside it describes it."
    )


def write_weights(options: Options) -> None:
    """Write the run's weights, rounded, into a file that git keeps, beside its record."""
    if options.out:
        raise UserError(f"--out is {options.out}, but weights lie beside their record: leave it out.")
    finished(options.run, options.env or task_of(options.run))
    from training.checkpoint import load_model, save_rounded

    file = save_rounded(options.run, load_model(options.run))
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB, for git add.")


def console() -> None:
    """The command `trajectory-export`, and of this file."""
    with exit_on_user_error():
        main(tyro.cli(Options))


if __name__ == "__main__":
    console()
