"""Made-up records, whose right tables are known."""

from pathlib import Path
from typing import Any

import numpy as np

from report import store


def made_up(
    model: str = "dt",
    dataset: str = "hopper-medium",
    source: str = "reroll",
    seed: int = 0,
    score: float = 60.0,
    updates: int = 20_000,
    targets: tuple[float | None, ...] = (3600.0, 1800.0),
    digest: str = "d" * 64,
    physics: str = "d4rl",
    episodes: int = 4,
    command: str = "",
    **run: Any,
) -> store.Record:
    """A record whose headline score is `score`, with episodes spread around it by ±10 points."""
    random, expert = -20.272305, 3234.3
    points = score + np.resize([10.0, -10.0], episodes)

    def played(target: float | None, shift: float) -> store.Evaluation:
        returns = random + (points + shift) * (expert - random) / 100
        return store.Evaluation.of(target, returns, [500] * episodes, score + shift)

    config = {"model": {"context": 20}, "run": {"seed": seed, "updates": updates, "episodes": episodes, **run}}
    return store.Record(
        model=model,
        dataset=dataset,
        env=dataset.split("-")[0],
        source=source,
        seed=seed,
        data={"digest": digest, "file": "hopper_medium-v2.hdf5"},
        config=config,
        protocol=store.Protocol(
            episodes=episodes,
            checkpoint="last",
            physics=physics,
            environment="Hopper-v4",
            target_returns=tuple(target for target in targets if target is not None),
            seeds=tuple(range(episodes)),
            random_score=random,
            expert_score=expert,
        ),
        behavior=store.Behavior.of(np.linspace(300, 2600, 200), 45.2),
        evaluations=tuple(played(target, -20.0 * place) for place, target in enumerate(targets)),
        parameters=730_000,
        updates=updates,
        tokens=updates * 64 * 60,
        seconds={"data": 1.0, "train": 60.0, "evaluate": 9.0},
        peak_memory_mb=900.0,
        device="cpu",
        threads=1,
        versions={"python": "3.11", "torch": "2.13.0"},
        commit="c" * 40,
        dirty=False,
        command=command,
    )


def write(root: Path, *records: store.Record) -> list[store.Record]:
    for record in records:
        store.write_record(root / record.name, record)
    return list(records)
