"""The campaign: its whole files are read, its damaged ones are damaged, and differences are reported."""

import json
import random
from functools import partial
from pathlib import Path

import pytest

from campaign import __main__ as campaign
from campaign import kills, run_files
from campaign.damage import damage
from campaign.fuzz import fuzz
from campaign.kills import differing, facts
from campaign.tally import LONGEST, Tally, table
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
    ("reads", "message"),
    [
        ("raise ValueError('x\\ny')", "ValueError: x"),
        ("raise UserErrorWithBreaks", "NameError"),
        ("__import__('os').abort()", "ends the process with -6"),
        ("while True: pass", "more than ten seconds"),
    ],
)
def test_whatever_a_reader_does_else_is_a_failure(
    reads: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert message in tally.failures[0]


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
    assert tally.row() == "| files | 3 | 1: a/b |  |"
    assert Tally("power", not_tried="no root").row() == "| power | not tried: no root | | |"
    assert LONGEST == 500


def test_a_damaged_record_does_not_keep_the_others_from_the_report(tmp_path: Path) -> None:
    run_files.records(tmp_path)
    first, *_ = sorted(tmp_path.rglob("record.json"))
    first.write_text("{", encoding="utf-8")
    run_files.read_records(tmp_path)
    for path in tmp_path.rglob("record.json"):
        path.write_text("{", encoding="utf-8")
    with pytest.raises(AssertionError, match="of 3 records 0 are in the report"):
        run_files.read_records(tmp_path)


@pytest.mark.parametrize("line", ["Left out: " + "x" * 500, "Left out: \x1b[2J", "Traceback (most recent call last):"])
def test_a_file_that_is_left_out_is_reported_in_one_sentence(line: str) -> None:
    run_files.check_messages("Left out: a/record.json: damaged.")
    with pytest.raises(AssertionError):
        run_files.check_messages(line)


def test_a_campaign_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    def part(name: str, scratch: Path) -> Tally:
        if name == "second" and "first" in tried and len(tried) == 1:
            tried.append("interrupted")
            raise KeyboardInterrupt
        tried.append(name)
        return Tally("files", held=2)

    monkeypatch.setattr(
        campaign, "parts", lambda options: [(name, partial(part, name)) for name in ("first", "second")]
    )
    options = campaign.Options(kept=tmp_path / "kept.json")
    with pytest.raises(KeyboardInterrupt):
        campaign.main(options)
    with pytest.raises(SystemExit, match="False"):
        campaign.main(options)
    assert tried == ["first", "interrupted", "second"]
    assert "| files | 4 | 4 |" in capsys.readouterr().out


def test_the_full_campaign_tries_as_many_files_and_kills_as_it_says() -> None:
    names = [name for name, _ in campaign.parts(campaign.Options(full=True))]
    assert len(names) == len(set(names))
    assert sum(name.startswith("1000 record ") for name in names) == 3
    assert sum(name.startswith("10 kills gato ") for name in names) == 5
    few = [name for name, _ in campaign.parts(campaign.Options(only=("kills",)))]
    assert few == [f"10 kills {what} 0" for what in kills.WHAT]


def test_the_parts_of_a_campaign_share_a_row_if_they_tried_the_same_code() -> None:
    parts = [Tally("a", 3, commit="1" * 40), Tally("a", 4, ["x"], commit="1" * 40), Tally("a", 5, commit="2" * 40)]
    assert table(parts).splitlines()[2:] == ["| a | 8 | 7: x | 1111111 |", "| a | 5 | 5 | 2222222 |"]
