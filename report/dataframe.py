"""Recorded runs as a pandas DataFrame, for questions that no table here answers."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from report.score_families import is_answered
from report.store import Evaluation, Record, read_all
from trajectories.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("model", "dataset", "env", "source", "seed", "updates", "parameters", "tokens", "device", "commit", "preset")
RUNS = Path("results") / "runs"


def mean_of(record: Record, evaluation: Evaluation) -> float:
    """Mean return of the episodes; of what is answered, over all questions, captions or bytes."""
    return float(np.average(evaluation.returns, weights=evaluation.lengths if is_answered(record) else None))


def load_results(root: Path | str | None = None) -> "pd.DataFrame":
    """One row for each evaluation of each recorded run.

    Args:
        root: the folder of the runs; None: results/runs of the checkout that this file lies in, else of this folder.

    Returns:
        The record's own columns (model, dataset, source, seed, updates, ...), then `target_return` (NaN where the model
        takes none), `score` (mean normalized score, 0 random, 100 expert; NaN where none is known), `success` (share of
        the episodes that succeeded; NaN where the environment knows none), `return_mean`, `return_std` over the
        episodes, `episodes`, `returns` and `lengths` of each episode (tuples), `train_seconds`, `evaluate_seconds`, and
        `folder`, below `root`.

    Raises:
        UserError: there is no such folder.
    """
    import pandas as pd

    if root is not None and not Path(root).is_dir():
        raise UserError(f"{root}: there is no such folder of runs: name one, or none for this checkout's.")
    checkout = Path(__file__).resolve().parents[1] / RUNS
    runs = Path(root) if root is not None else checkout if checkout.is_dir() else RUNS
    rows = []
    for record in read_all(runs):
        for evaluation in record.evaluations:
            returns = np.asarray(evaluation.returns, np.float64)
            rows.append(
                {name: getattr(record, name) for name in COLUMNS}
                | {
                    "target_return": evaluation.target_return,
                    "score": evaluation.normalized,
                    "success": float(np.mean(evaluation.success)) if evaluation.success else np.nan,
                    "return_mean": mean_of(record, evaluation),
                    "return_std": returns.std(),
                    "episodes": len(returns),
                    "returns": evaluation.returns,
                    "lengths": evaluation.lengths,
                    "train_seconds": record.seconds.get("train"),
                    "evaluate_seconds": record.seconds.get("evaluate"),
                    "folder": record.name,
                }
            )
    frame = pd.DataFrame(rows)
    return frame.astype({"target_return": float, "score": float}) if rows else frame
