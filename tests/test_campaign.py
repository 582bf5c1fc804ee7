"""The campaign tries what it says: its whole files are read, its damaged ones are damaged, and what differs is told."""

import json
import random
from pathlib import Path

import pytest

from campaign.damage import damage
from campaign.fuzz import LONGEST, fuzz
from campaign.kills import differing, facts
from campaign.tally import Tally
from campaign.whole_files import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_of_every_kind_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    tally = fuzz(kind, 6, 0, tmp_path)
    assert tally.not_tried or (tally.tried, tally.failures) == (6, [])


def test_damage_changes_a_file(tmp_path: Path) -> None:
    make, read = KINDS["pickle"]
    make(tmp_path)
    read(tmp_path)
    whole = (tmp_path / "a.pkl").read_bytes()
    damage(random.Random(0), tmp_path / "a.pkl")
    assert (tmp_path / "a.pkl").read_bytes() != whole


@pytest.mark.parametrize(
    ("reads", "told"),
    [
        ("raise ValueError('x\\ny')", "ValueError: x"),
        ("raise UserErrorWithBreaks", "NameError"),
        ("__import__('os').abort()", "ends the process with -6"),
        ("while True: pass", "more than ten seconds"),
    ],
)
def test_whatever_a_reader_does_else_is_a_failure(
    reads: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []

    def read(folder: Path) -> None:
        turns.append(1)
        if len(turns) > 1:  # the first one is whole, and read here
            exec(reads)

    monkeypatch.setattr("campaign.fuzz.SECONDS", 1)
    monkeypatch.setitem(KINDS, "odd", (lambda folder: (folder / "a").write_bytes(b"whole") and None, read))
    tally = fuzz("odd", 2, 0, tmp_path)
    assert tally.tried == 2
    assert len(tally.failures) >= 1
    assert told in tally.failures[0]


def test_what_a_killed_run_leaves_is_compared_without_its_times(tmp_path: Path) -> None:
    for name, seconds, score in (("a", 1, 5), ("b", 2, 5), ("c", 1, 6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(json.dumps({"seconds": seconds, "score": score}))
    (tmp_path / "b" / ".left.tmp").write_text("")
    first, second, third = (facts(tmp_path / name) for name in "abc")
    assert differing(first, second) == "also .left.tmp"
    assert differing(first, third) == "other record.json"
    assert differing(second, first) == "no .left.tmp"
    assert differing(first, first) is None


def test_a_tally_shows_the_first_failure_in_its_row() -> None:
    tally = Tally("files")
    for failure in (None, "a|b", "c"):
        tally.count(failure)
    assert tally.row() == "| files | 3 | 1: a/b |"
    assert Tally("power", not_tried="no root").row() == "| power | not tried: no root | |"
    assert LONGEST == 500
