"""Train a model on recorded trajectories, play it in the real environment, record the result: training/run.py.

    python experiments/run.py --model dt --env hopper-medium
    python experiments/run.py --model dt --help
    torchrun --nproc-per-node 8 experiments/run.py --model gato --env ...     # several GPUs: training/distributed.py

The same command run again finds the finished run and prints it; an interrupted run goes on from its last checkpoint.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from training.cli import exit_on_user_error
from training.settings import parse


def main(arguments: list[str]) -> None:
    """Run what a command line says; torch is imported once there is something to run."""
    settings = parse(arguments)
    from training import distributed, run

    with distributed.process_group():
        run.run(settings)


def console() -> None:
    """The command `trajectory-run`, and of this file."""
    with exit_on_user_error():
        main(sys.argv[1:] or ["--help"])


if __name__ == "__main__":
    console()
