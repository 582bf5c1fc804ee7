"""A killed evaluation goes on where it was, with the numbers of one that nothing interrupted."""

import os
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from backbone.interface import Player, SequenceModel
from environments.interface import Step
from experiments import run
from report.store import RECORD
from tests.test_training import SIZES, outcome, words
from tests.toys import CHOICES, POINT, SCREEN, SMALL, random_observations, small, walk
from training import evaluation_log
from training import run as whole_run
from training.evaluate import Played, begin, episode_seeds, play
from training.evaluation_log import EvaluationLog
from training.player_state import save_player
from training.run_lock import PLAYED, STATE, UNFINISHED
from trajectories.types import Spec

CASES: list[tuple[str, Spec, dict[str, object]]] = [
    (name, spec, {}) for spec in (POINT, CHOICES, SCREEN) for name in SMALL
]
CASES += [
    ("gato", POINT, {"prompt": "best", "decoding": "sampled"}),
    ("gato", CHOICES, {"memory": "recompute"}),
    ("tt", POINT, {"plan_every": 2}),
]
LENGTHS = (4, 9, 1, 9)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something is kept at every step, and need not be on the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Noise:
    """Shows noise that depends on seed, step and last action, in episodes of different lengths."""

    def __init__(self, spec: Spec, stop_at: int | None = None) -> None:
        self.spec, self.count, self.stop_at = spec, len(LENGTHS), stop_at
        self.steps = 0

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        self.seeds, self.steps = seeds, 0
        return self._show(np.zeros(self.count))

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        if self.steps == self.stop_at:
            raise KeyboardInterrupt
        self.steps += 1
        did = actions.reshape(self.count, -1).sum(1).astype(np.float64)
        ended = self.steps >= np.array(LENGTHS)
        return Step(self._show(did), np.where(live, did, 0), live & ended, np.zeros(self.count, bool))

    def _show(self, did: np.ndarray) -> np.ndarray:
        rngs = [
            np.random.default_rng([seed, self.steps, *np.float64(act).tobytes()])
            for seed, act in zip(self.seeds, did, strict=True)
        ]
        return np.stack([random_observations(rng, self.spec, self.spec.observation_shape) for rng in rngs])


class Counting:
    """A player that counts its calls."""

    def __init__(self, player: Player) -> None:
        self.player, self.calls = player, 0

    def act(self, *shown: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self.player.act(*shown)


def counting(model: SequenceModel, precision: str = "fp32") -> Counting:
    return Counting(begin(model, len(LENGTHS), 5.0, 7, precision=precision))


def evaluated(model: SequenceModel, player: Player, stop_at: int | None, log: EvaluationLog | None) -> Played:
    return play(player, Noise(model.spec, stop_at), episode_seeds(len(LENGTHS)), log=log)


@pytest.mark.parametrize(("name", "spec", "changes"), CASES, ids=[f"{n}-{s.name}-{'-'.join(c)}" for n, s, c in CASES])
def test_an_evaluation_that_is_killed_goes_on_where_it_was(name, spec, changes, tmp_path: Path) -> None:
    model = small(name, walk((12, 9, 12), spec=spec), **changes)
    for precision in ("fp32", "bf16"):
        folder = tmp_path / precision
        whole = evaluated(model, counting(model, precision), None, None)
        first = EvaluationLog(folder, model, 0)
        with pytest.raises(KeyboardInterrupt):
            first.keep("a", partial(evaluated, model, counting(model, precision), 6, first))
        log, player = EvaluationLog(folder, model, 0), counting(model, precision)
        played = log.keep("a", partial(evaluated, model, player, None, log))
        assert played.returns.tolist() == whole.returns.tolist()
        assert played.lengths.tolist() == whole.lengths.tolist() == list(LENGTHS)
        assert player.calls == 9  # of which 7 are known; restored with the rest of its memory


def test_what_was_played_to_its_end_is_not_played_again(tmp_path: Path) -> None:
    model = small("dt", walk((12, 9)))
    log = EvaluationLog(tmp_path, model, 30)
    played = log.keep("a", partial(evaluated, model, counting(model), None, log))
    again = EvaluationLog(tmp_path, model, 30).keep("a", lambda: pytest.fail("it was played again"))
    assert (again.returns.tolist(), again.lengths.tolist()) == (played.returns.tolist(), played.lengths.tolist())


def test_what_other_weights_have_played_is_left_out(tmp_path: Path) -> None:
    one, other = small("dt", walk((12, 9))), small("dt", walk((12, 9)), width=16)
    log = EvaluationLog(tmp_path, one, 0)
    log.keep("a", partial(evaluated, one, counting(one), None, log))
    fresh = EvaluationLog(tmp_path, other, 0)
    assert fresh.keep("a", lambda: Played(np.zeros(1), np.zeros(1, int))).returns.tolist() == [0]


def test_a_player_that_cannot_be_kept_begins_its_episodes_again(tmp_path: Path) -> None:
    model = small("dt", walk((12, 9)))
    player = counting(model)
    player.seen = deque()
    assert save_player(player) is None
    first = EvaluationLog(tmp_path, model, 0)
    with pytest.raises(KeyboardInterrupt):
        first.keep("a", partial(evaluated, model, player, 6, first))
    log, player = EvaluationLog(tmp_path, model, 0), counting(model)
    log.keep("a", partial(evaluated, model, player, None, log))
    assert player.calls == max(LENGTHS)


def test_a_player_that_remembers_too_much_begins_its_episodes_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(evaluation_log, "LARGEST", 100)
    model = small("dt", walk((12, 9)))
    log = EvaluationLog(tmp_path, model, 0)
    with pytest.raises(KeyboardInterrupt):
        log.keep("a", partial(evaluated, model, counting(model), 6, log))
    assert not (tmp_path / PLAYED).exists()


# ---- in a run --------------------------------------------------------------------------------------------------------


def left(folder: Path) -> set[str]:
    """Names of what is in the only run of a folder."""
    (made,) = folder.iterdir()
    return {path.name for path in made.iterdir()}


@pytest.mark.parametrize("stopped", [3, 25])
def test_a_run_killed_while_it_is_evaluated_ends_with_the_same_record(stopped: int, tmp_path, monkeypatch) -> None:
    line = [*words("dt", tmp_path / "broken", *SIZES["dt"], "--target-returns", "5", "2"), "--evaluate-every", "0"]
    run.main([*line, "--results-dir", str(tmp_path / "whole")])
    add, calls = EvaluationLog.add, []

    def killed(log: EvaluationLog, *acted: object) -> None:
        add(log, *acted)
        calls.append(acted)
        if len(calls) == stopped:
            raise KeyboardInterrupt

    monkeypatch.setattr(EvaluationLog, "add", killed)
    with pytest.raises(SystemExit, match="130"):
        run.main(line)
    assert {STATE, UNFINISHED, PLAYED} <= left(tmp_path / "broken")
    run.main(line)
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")
    assert len(calls) == 40  # two target returns, twenty steps each
    assert not left(tmp_path / "broken") & {STATE, UNFINISHED, PLAYED}


def test_what_a_run_left_that_was_killed_after_its_record_goes_when_it_is_shown(tmp_path, monkeypatch) -> None:
    write = whole_run.write_record

    def killed(*arguments: object) -> None:
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(whole_run, "write_record", killed)
        with pytest.raises(SystemExit, match="130"):
            run.main(words("bc", tmp_path))
    assert {STATE, PLAYED, RECORD} <= left(tmp_path)
    run.main(words("bc", tmp_path))
    assert not left(tmp_path) & {STATE, PLAYED, UNFINISHED}
