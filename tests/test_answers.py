"""What is answered is measured on what is held out, beside what is to be beaten; and a run does all of it."""

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import play, run
from report.cell_text import sentence
from report.grid import command, rows
from report.markdown import CHINESE, ENGLISH, short
from report.score_families import is_answered
from report.store import Record, read_all, read_record
from report.table import report
from tests.answers import pairs, put, text
from tests.recordings import table, write_d4rl
from tests.toys import small, walk
from training import answers
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectories.pairs import Pairs
from trajectories.strings import Strings
from trajectories.text import Text
from trajectories.types import Provenance

SMALL = "--width 32 --heads 2 --head-width 16 --hidden 64 --patch-width 8 --patch-groups 4 --pieces 400 --batch-size 4"


class Knows:
    """Finds a picture's own answer likelier, or in the other part of the calls less likely."""

    def __init__(self, data: Pairs | Text, share: float = 1.0) -> None:
        self.data, self.share = data, share

    def log_probabilities(
        self, task: str, images: np.ndarray, questions: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> np.ndarray:
        assert isinstance(self.data, Pairs)
        names = {tuple(self.data.images[place].reshape(-1).tolist()): self.data.texts[self.data.answers[place]]
                 for place in range(len(self.data.images))}  # fmt: skip
        sure = np.arange(len(images)) % 10 < 10 * self.share
        own = [names[tuple(image.reshape(-1).tolist())] for image in images]
        return np.array([[(answer == name) == right for answer in row]
                         for row, name, right in zip(candidates, own, sure, strict=True)], float)  # fmt: skip

    def answer(self, task: str, images: np.ndarray, questions: Sequence[str], longest: int = 32) -> list[str]:
        return [""] * len(images)

    def nats(self, documents: Sequence[str]) -> np.ndarray:
        return np.array([2.0 * len(each.encode()) * math.log(2) for each in documents])

    def go_on(self, text: str, tokens: int, seed: int = 0) -> str:
        return ""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


# ---- measures -------------------------------------------------------------------------------------------------------


def several_questions(pictures: int = 40, each: int = 3) -> Pairs:
    """Several questions about each picture; the third is answered otherwise in every second picture."""
    questions = ["what color?", "is it red?", "is it dark?"] * pictures
    answered = [(f"color {place % 7}", "yes", "yes" if place % 3 else "no") for place in range(pictures)]
    images = np.arange(pictures, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    which = np.repeat(np.arange(pictures), each)
    return Pairs.of(
        Provenance("several", "made-up", "0"), images, which, questions, [one for row in answered for one in row],
        which % 4 == 3,
    )  # fmt: skip


def test_the_blind_line_is_the_most_frequent_answer_to_each_question() -> None:
    data = several_questions()
    reference = answers.blind(data, 1000)
    held = np.unique(data.which[data.measured])
    often = max(range(7), key=lambda color: sum(place % 7 == color for place in range(40) if place % 4 != 3))
    right = [(place % 7 == often) + 1 + (place % 3 > 0) for place in held]
    assert reference.total == pytest.approx(sum(right) / (3 * len(held)))
    assert reference.name == "blind"
    assert reference.counts.tolist() == [3] * len(held)
    assert answers.blind(data, 4).values.shape == (4,)


def test_questions_are_measured_picture_by_picture_among_the_learned_answers() -> None:
    data = pairs(40, questions=True)
    played = answers.measure(Knows(data), data, 1000)
    assert answers.name_of(data) == "questions"
    assert (answers.total(played), len(played.returns)) == (1.0, answers.count(data, 1000))
    assert {data.texts[place] for place in answers.candidates(data)} == {"red", "green", "blue"}
    few = answers.measure(Knows(data), data, 3)
    assert len(few.returns) == answers.count(data, 3) == 3
    every, some = (answers.measured(data, count)[0] for count in (1000, 3))
    assert set(some) <= set(every)


def captioned(count: int = 200) -> Pairs:
    images = np.random.default_rng(0).integers(256, size=(count, 4, 4, 3), dtype=np.uint8)
    names = [f"number {place}" for place in range(count)]
    held_out = np.arange(count) % 2 == 1
    return Pairs.of(Provenance("captioned", "made-up", "0"), images, np.arange(count), [""] * count, names, held_out)


def test_a_caption_looks_for_its_picture_among_ten_that_are_held_out() -> None:
    data = captioned()
    assert answers.name_of(data) == "captions"
    for pair in data.measured[:5]:
        shown = answers.lineup(data, int(pair))
        assert shown[0] == data.which[pair]
        assert len(set(shown.tolist())) == answers.PICTURES
        assert set(shown) <= set(data.which[data.measured])
        np.testing.assert_array_equal(shown, answers.lineup(data, int(pair)))
    assert answers.total(answers.measure(Knows(data), data, 1000)) == 1.0
    assert answers.total(answers.measure(Knows(data, share=0.0), data, 1000)) == 0.0
    assert answers.references(Knows(data), data, 1000)[0].total == pytest.approx(0.1)
    same = replace(data, answers=np.full_like(data.answers, data.answers[1]))
    assert answers.lineup(same, 1).tolist() == [1]  # pictures of the same caption would be as right


def test_a_picture_that_is_no_likelier_than_another_is_not_found() -> None:
    class Undecided(Knows):
        def log_probabilities(self, task, images, questions, candidates):
            return np.zeros((len(images), 1))

    data = captioned(60)
    assert answers.total(answers.measure(Undecided(data), data, 1000)) == 0.0


def test_text_is_measured_in_bits_a_byte_beside_gzip_and_a_unigram_of_pieces() -> None:
    contents = ["aaab" * 30, "aaab" * 200, "ab" * 500, "ü" * 50]
    data = Text.of(Provenance("t", "made-up", "0"), Strings.of(contents), np.array([False, False, True, True]))
    played = answers.measure(Knows(data), data, 1000)
    np.testing.assert_allclose(played.returns, 2.0)
    assert sorted(played.lengths.tolist()) == [100, 1000]
    compressed, unigram = answers.references(Knows(data), data, 1000)
    order = [len(contents[place].encode()) for place in answers.documents(data, 1000)]
    assert played.lengths.tolist() == compressed.counts.tolist() == order
    size = {len(each.encode()): len(gzip.compress(each.encode(), 9, mtime=0)) for each in contents[2:]}
    np.testing.assert_allclose(compressed.values, [8 * size[length] / length for length in order])
    counts = {"a": 690, "b": 230}
    total = 920 + 4  # one more for each of a, b and the two bytes of ü
    expected = {1000: -sum(math.log2((counts[each] + 1) / total) for each in "ab") / 2, 100: -math.log2(1 / total)}
    np.testing.assert_allclose(unigram.values, [expected[length] for length in order])
    assert compressed.total == pytest.approx(np.average(compressed.values, weights=order))


# ---- a whole run ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Pictures with questions in easy-VQA's layout, and a folder of texts."""
    from PIL import Image

    for part, count in (("train", 12), ("test", 4)):
        questions = []
        for place in range(count):
            color = ["red", "green", "blue"][place % 3]
            put(tmp_path / "shapes" / part / "images" / "x", b"")
            Image.new("RGB", (64, 64), color).save(tmp_path / "shapes" / part / "images" / f"{place}.png")
            questions += [["what color is it?", color, place], ["is it red?", "yes" if color == "red" else "no", place]]
        put(tmp_path / "shapes" / part / "questions.json", json.dumps(questions))
    for place, document in enumerate(text().documents):
        put(tmp_path / "words" / f"{place}.txt", document)
    return tmp_path


def record_of(folder: Path, env: str, results: Path, capsys: pytest.CaptureFixture, *words: str) -> Record:
    line = f"--model gato --env {env} --updates 3 --results-dir {results} {SMALL}".split()
    run.main([*line, *words])
    assert f"{results}" in capsys.readouterr().out
    (found,) = [path.parent for path in results.glob("*/record.json")]
    return read_record(found)


def test_a_run_learns_answers_records_and_shows_pairs(folders: Path, capsys: pytest.CaptureFixture) -> None:
    results = folders / "runs"
    given = ["--path", str(folders / "shapes"), "--env", "shapes@easy-vqa", "--evaluate-every", "2"]
    record = record_of(folders, "shapes@easy-vqa", results, capsys, *given)
    assert is_answered(record)
    assert (record.family, record.protocol.environment, record.protocol.episodes) == ("pairs", "questions", 4)
    assert record.references == {"blind": pytest.approx(0.5)}
    assert record.report["pieces"]["number"] > 0
    (played,) = record.evaluations
    assert played.lengths == (2, 2, 2, 2)
    assert played.normalized == pytest.approx(100 * np.average(played.returns, weights=played.lengths))
    assert sentence(record, played) == f"{played.normalized:.1f}% of 8 questions in 4 pictures"
    run.main(["--model", "gato", "--updates", "3", "--results-dir", str(results), *SMALL.split(), *given])
    assert "finished already" in capsys.readouterr().out
    (folder,) = [path.parent for path in results.glob("*/record.json")]
    curve = (folder / "curve.csv").read_text().splitlines()
    assert "return" in curve[0]
    with pytest.raises(UserError, match="--video: shapes@easy-vqa is answered"):
        play.main(play.Options(folder, video=folders / "a.mp4"))
    with pytest.raises(UserError, match="data of your own: name their folder with --path"):
        play.main(play.Options(folder))
    play.main(play.Options(folder, path=folders / "shapes", episodes=3))
    printed = capsys.readouterr().out
    assert printed.count("picture ") == 3
    assert (folder / "answers.png").is_file()
    with pytest.raises(UserError, match="--seed is 9, but shapes@easy-vqa has 4 pictures"):
        play.main(play.Options(folder, path=folders / "shapes", seed=9))
    put(folders / "shapes" / "test" / "questions.json", json.dumps([["what color is it?", "red", 0]]))
    with pytest.raises(UserError, match="holds other data than this run has learned from"):
        play.main(play.Options(folder, path=folders / "shapes"))


def test_a_run_learns_and_records_a_text(folders: Path, capsys: pytest.CaptureFixture) -> None:
    results = folders / "runs"
    given = ["--path", str(folders / "words"), "--task", "text", "--context", "1", "--prompt-steps", "0"]
    record = record_of(folders, "words@text", results, capsys, *given)
    (played,) = record.evaluations
    assert record.references.keys() == {"gzip", "unigram"}
    bits = np.average(played.returns, weights=played.lengths)
    assert played.normalized == pytest.approx(100 * (8 - bits) / 8)
    assert sentence(record, played) == f"{bits:.3f} bits a byte of {played.lengths[0]:,} in 1 documents"
    (folder,) = [path.parent for path in results.glob("*/record.json")]
    play.main(play.Options(folder, path=folders / "words", episodes=1))
    assert ">>>" in capsys.readouterr().out
    with pytest.raises(UserError, match="--sheet: words@text has no pictures with answers"):
        play.main(play.Options(folder, sheet=folders / "a.png"))


def test_what_is_done_to_episodes_is_refused_where_there_are_none(folders: Path) -> None:
    line = f"--model gato --task text --path {folders / 'words'} --results-dir {folders / 'runs'}".split()
    for option in (["--fraction-best", "0.5"], ["--delayed-reward"], ["--demonstrations", "3"]):
        with pytest.raises(UserError, match=rf"{option[0]} is for episodes, and words@text has none"):
            run.main([*line, *option])


def test_a_mixture_of_robots_pictures_and_text_has_a_record_for_each(
    folders: Path, capsys: pytest.CaptureFixture
) -> None:
    own = write_d4rl(folders / "toy.hdf5", table(walk([5, 9, 7], spec=environment("toy").spec())))
    given = ["--path", str(own), str(folders / "shapes"), str(folders / "words")]
    names = ["mine@toy", "shapes@easy-vqa", "words@text"]
    run.main([
        *("--model", "gato", "--env", *names, *given, "--updates", "2", "--episodes", "2"),
        *("--results-dir", str(folders / "runs"), *SMALL.split()),
    ])  # fmt: skip
    printed = capsys.readouterr().out
    records = {record.dataset: record for record in read_all(folders / "runs")}
    assert set(records) == set(names)
    assert {record.column for record in records.values()} == {"gato (3 tasks)"}
    assert "bits a byte" in printed
    assert len(records["shapes@easy-vqa"].evaluations[0].returns) == 2
    written = report(list(records.values()))
    assert [each.kind for each in written.scores] == ["Scores", "Answers"]
    for language in (ENGLISH, CHINESE):
        assert "gzip" in short(written, language)


def test_the_python_api_trains_and_measures_what_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    from trajectory_models import evaluate, train

    data = pairs(40, questions=True, name="easy-vqa")
    monkeypatch.setattr("training.api.load", lambda name: data)
    settings = {"width": 32, "heads": 2, "head_width": 16, "hidden": 64, "patch_width": 8, "patch_groups": 4}
    model = train("gato", data, updates=2, batch_size=2, **settings)
    scores = evaluate(model, "easy-vqa", episodes=5)
    assert scores.lengths.tolist() == [1] * 5
    assert scores.mean == pytest.approx(100 * scores.returns.mean())
    with pytest.raises(UserError, match="easy-vqa is answered, and this model only acts"):
        evaluate(small("bc", walk((5, 4))), "easy-vqa")


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_answers_are_a_table_of_their_own_with_what_is_to_be_beaten(
    folders: Path, capsys: pytest.CaptureFixture
) -> None:
    given = ["--path", str(folders / "shapes"), "--env", "shapes@easy-vqa"]
    one = record_of(folders, "shapes@easy-vqa", folders / "runs", capsys, *given)
    two = replace(one, seed=1, evaluations=(replace(one.evaluations[0], normalized=75.0),))
    written = report([one, two], expected=["dt", "gato"])
    (scores,) = written.scores
    assert scores.header == ("Data set", "DT", "Gato", "To beat")
    cells = scores.rows[0]
    assert (cells[3].main, cells[3].small) == ("50.0", ("blind",))
    assert cells[2].small == ("% of 8 questions", "[25.0, 75.0]", "2 seeds × 4 pictures")
    assert " ± " in cells[2].main
    assert cells[1].main == "—"
    assert written.missing == ()  # other models cannot answer
    assert "--model gato" in command(one)
    assert rows([one])[0].label == "shapes@easy-vqa"
