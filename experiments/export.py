"""A finished run's network for other programs: python experiments/export.py results/runs/<run> --to onnx

    python experiments/export.py results/runs/<run> --to torch      # torch.export's format
    pip install -r requirements-export.txt                          # what --to onnx needs

The file is read back, through onnxruntime or torch, and its actions are compared with the model's own over the first
steps of an episode. Beside it README.md and a .json name the inputs, their shapes, and what they mean.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from experiments.play import finished
from training.cli import exit_on_user_error


@dataclass(frozen=True)
class Options:
    """Export a finished run's network."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of the run, results/runs/<run>"""
    to: Literal["onnx", "torch"] = "onnx"
    """format of the file: onnx, or torch for torch.export's"""
    env: str | None = None
    """which of its data sets' environments it is for, where it has learned several"""
    out: Path | None = None
    """folder for the file and what describes it, if not export/ in the run's"""


def main(options: Options) -> None:
    """Export what the options say; torch is imported once there is something to export."""
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


def console() -> None:
    """The command `trajectory-export`, and of this file."""
    with exit_on_user_error():
        main(tyro.cli(Options))


if __name__ == "__main__":
    console()
