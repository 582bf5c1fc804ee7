"""Ctrl-C and SIGTERM end a training where an update has ended, and what was learned until then is kept."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import run
from report.store import RECORD, read_record
from tests.test_training import SIZES, outcome, words
from training import interruption, provenance, train


@pytest.fixture(autouse=True)
def in_the_foreground() -> Iterator[None]:
    """Below a shell's `&` SIGINT is ignored, and stays so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "code", "how"), [(signal.SIGINT, "130", "Interrupted"), (signal.SIGTERM, "143", "Ended by SIGTERM")]
)
def test_a_signal_during_an_update_keeps_it_and_the_run_ends_as_a_whole_one(
    number: int, code: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    later = ("--checkpoint-seconds", "1000", *SIZES["dt"])
    update = train.update

    def interrupted(model, data, optimizer, settings, done, *more):
        loss = update(model, data, optimizer, settings, done, *more)
        if done.update == 4:
            os.kill(os.getpid(), number)
        return loss

    monkeypatch.setattr(train, "LOG_EVERY", 2)
    run.main(words("dt", tmp_path / "whole", *later))
    with monkeypatch.context() as patch:
        patch.setattr(train, "update", interrupted)
        with pytest.raises(SystemExit, match=code):
            run.main(words("dt", tmp_path / "broken", *later))
    assert f"{how} after update 4 of 6, which is kept. Run the same command again" in capsys.readouterr().err
    assert not list((tmp_path / "broken").rglob(RECORD))
    run.main(words("dt", tmp_path / "broken", *later))
    assert "Going on after update 4." in capsys.readouterr().out
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


def test_a_signal_does_not_wait_for_an_agent_that_plays() -> None:
    with interruption.waiting(), pytest.raises(KeyboardInterrupt), interruption.at_once():
        interruption.request(KeyboardInterrupt())
    with interruption.waiting():
        interruption.request(KeyboardInterrupt())
        assert interruption.requested()
    with pytest.raises(KeyboardInterrupt, match="after update 3"):
        interruption.end("after update 3")
    interruption.end("nothing was requested again")


def test_a_record_names_the_code_that_its_processes_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update, head = train.update, ["a" * 40, False]
    monkeypatch.setattr(provenance, "commit", lambda: tuple(head))

    def committed_meanwhile(model, data, optimizer, settings, done, *more):
        head[:] = ["b" * 40, True]
        if done.update == 2 and not list(tmp_path.rglob(RECORD)):
            os.kill(os.getpid(), signal.SIGINT)
        return update(model, data, optimizer, settings, done, *more)

    monkeypatch.setattr(train, "update", committed_meanwhile)
    with pytest.raises(SystemExit, match="130"):
        run.main(words("bc", tmp_path, *SIZES["bc"]))
    monkeypatch.setattr(train, "update", update)
    run.main(words("bc", tmp_path, *SIZES["bc"]))
    (made,) = map(read_record, tmp_path.iterdir())
    assert (made.commit, made.dirty, made.versions["earlier commits"]) == ("b" * 40, True, "a" * 40)
    head[:] = ["a" * 40, False]
    monkeypatch.setattr(train, "update", committed_meanwhile)
    run.main(words("bc", tmp_path, "--seed", "1", *SIZES["bc"]))
    (other,) = (each for each in map(read_record, tmp_path.iterdir()) if each.seed == 1)
    assert (other.commit, other.dirty) == ("a" * 40, False)
