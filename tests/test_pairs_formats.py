"""Pictures with captions or questions, and texts, in the layouts in which others have them."""

import hashlib
import io
import json
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.answers import COLORS, png, put
from tests.test_hostile_files import refusal
from trajectories import answered
from trajectories.errors import UserError
from trajectories.formats import pairs, pictures, text
from trajectories.pairs import Pairs
from trajectories.text import Text
from trajectories.types import Provenance

ORIGIN = Provenance("mine", "file", "")
SIDE = 8


def read(layout: str, path: Path, tmp_path: Path) -> Pairs:
    folder = tmp_path / "columns"
    folder.mkdir(exist_ok=True)
    return pairs.read(layout, path, ORIGIN, SIDE, folder)


def shown(data: Pairs) -> list[tuple[str, str, str, bool]]:
    """Of each pair the picture's color, the question, the answer, and whether it is held out."""
    names = {color: name for name, color in COLORS.items()}
    middle = [tuple(data.images[place, SIDE // 2, SIDE // 2].tolist()) for place in data.which]
    nearest = [min(names, key=lambda color: sum(abs(a - b) for a, b in zip(color, one, strict=True))) for one in middle]
    return [
        (names[color], data.texts[question], data.texts[answer], bool(held))
        for color, question, answer, held in zip(nearest, data.questions, data.answers, data.held_out, strict=True)
    ]


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_a_picture_keeps_its_proportions_on_white() -> None:
    square = pictures.square(png("red", (20, 10)), 8)
    assert square.shape == (8, 8, 3)
    assert square.dtype == np.uint8
    assert square[:2].min() == square[6:].min() == 255
    np.testing.assert_allclose(square[2:6], np.broadcast_to(COLORS["red"], (4, 8, 3)), atol=2)


def test_what_is_transparent_is_white() -> None:
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(content, "PNG")
    assert pictures.square(content.getvalue(), 4).min() == 255


@pytest.mark.parametrize("content", [b"", b"%!PS-Adobe-3.0 EPSF-3.0\n", png()[:40], b"GIF89a" + b"\xff" * 100])
def test_a_picture_that_cannot_be_read_is_counted_as_such(content: bytes) -> None:
    with pytest.raises(pictures.PictureError):
        pictures.square(content, 8)


def test_a_picture_that_declares_millions_of_pixels_is_not_decoded() -> None:
    content = bytearray(png())
    content[16:24] = (10_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    assert "10000 x 10000 pixels" in refusal(lambda: pictures.square(bytes(content), 8))


# ---- pairs ----------------------------------------------------------------------------------------------------------


def coco(folder: Path, part: str, rows: list[tuple[int, str, str]], kind: str = "captions") -> None:
    images = [{"id": number, "file_name": f"COCO_{part}_{number:012d}.jpg"} for number in {row[0] for row in rows}]
    captions = [{"id": place, "image_id": number, "caption": words} for place, (number, _, words) in enumerate(rows)]
    put(folder / f"annotations/captions_{part}.json", json.dumps({"images": images, "annotations": captions}))
    for number, color, _ in rows:
        put(folder / f"{part}/COCO_{part}_{number:012d}.jpg", png(color, kind="JPEG"))


def test_coco_captions_have_several_for_a_picture_and_a_part_to_measure_by(tmp_path: Path) -> None:
    coco(tmp_path, "train2014", [(9, "red", "A red  one.\n"), (9, "red", "It is red."), (25, "blue", "Blue.")])
    coco(tmp_path, "val2014", [(7, "green", "A green one.")])
    data = read("coco-captions", tmp_path, tmp_path)
    assert shown(data) == [
        ("red", "", "A red one.", False),
        ("red", "", "It is red.", False),
        ("blue", "", "Blue.", False),
        ("green", "", "A green one.", True),
    ]
    assert data.images.shape == (3, SIDE, SIDE, 3)
    assert not data.has_questions


def test_every_tenth_picture_is_held_out_with_all_its_captions_by_default(tmp_path: Path) -> None:
    coco(tmp_path, "train2014", [(place // 2, "red", f"number {place}") for place in range(50)])
    data = read("coco-captions", tmp_path, tmp_path)
    assert [data.texts[answer] for answer in data.answers[data.held_out]] == [f"number {n}" for n in (18, 19, 38, 39)]


def test_missing_and_damaged_pictures_are_counted_and_left_out(tmp_path: Path) -> None:
    coco(tmp_path, "train2014", [(place, "red", f"number {place}") for place in range(24)] + [(24, "red", " ")])
    (tmp_path / "train2014/COCO_train2014_000000000003.jpg").unlink()
    put(tmp_path / "train2014/COCO_train2014_000000000004.jpg", b"no picture")
    data = read("coco-captions", tmp_path, tmp_path)
    assert len(data.which) == 22
    assert data.origin.details["left_out"] == [
        "1 missing pictures", "1 pictures that cannot be read", "1 pairs without an answer",
    ]  # fmt: skip
    for file in (tmp_path / "train2014").iterdir():
        file.unlink()
    assert "25 missing pictures" in refusal(lambda: read("coco-captions", tmp_path, tmp_path))


def test_conceptual_captions_find_pictures_by_row_or_by_hash(tmp_path: Path) -> None:
    address = "https://example.org/a.jpg"
    lines = ["a red one\thttps://example.org/0.jpg", f"a blue one\t{address}", "lost\thttps://example.org/2.jpg"]
    put(tmp_path / "Train_GCC-training.tsv", "\n".join(lines) + "\n")
    put(tmp_path / "images/000000000.jpg", png("red", kind="JPEG"))
    put(tmp_path / f"images/{hashlib.md5(address.encode()).hexdigest()}.png", png("blue"))
    put(tmp_path / "Validation_GCC-1.1.0-Validation.tsv", "a green one\thttps://example.org/3.jpg\n")
    put(tmp_path / "Validation_GCC-1.1.0-Validation/0.webp", png("green", kind="WEBP"))
    data = read("conceptual-captions", tmp_path, tmp_path)
    assert shown(data) == [
        ("red", "", "a red one", False), ("blue", "", "a blue one", False), ("green", "", "a green one", True),
    ]  # fmt: skip
    assert data.origin.details["left_out"] == ["1 missing pictures"]


@pytest.mark.parametrize("ok_vqa", [False, True])
def test_vqa_joins_questions_and_annotations(tmp_path: Path, ok_vqa: bool) -> None:
    for part, color in (("train2014", "red"), ("val2014", "blue")):
        start = "mscoco_" if ok_vqa else "v2_mscoco_"
        questions = {"questions": [{"image_id": 42, "question": "What color is it?", "question_id": 420}]}
        given = {"question_id": 420, "image_id": 42, "answers": [{"answer": color, "answer_id": 1}]}
        given |= {} if ok_vqa else {"multiple_choice_answer": color, "question_type": "what color"}
        put(tmp_path / f"{start.replace('mscoco', 'OpenEnded_mscoco')}{part}_questions.json", json.dumps(questions))
        put(tmp_path / f"{start}{part}_annotations.json", json.dumps({"annotations": [given]}))
        put(tmp_path / part / f"COCO_{part}_000000000042.jpg", png(color, kind="JPEG"))
    data = read("vqa", tmp_path, tmp_path)
    assert shown(data) == [("red", "What color is it?", "red", False), ("blue", "What color is it?", "blue", True)]
    assert data.has_questions


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            file.addfile(about, io.BytesIO(content))
    return path


def test_webdataset_has_captions_as_text_or_as_json(tmp_path: Path) -> None:
    members: dict[str, bytes] = {}
    for place in range(9):
        members |= {f"shard/{place:05d}.jpg": png("red", kind="JPEG"), f"shard/{place:05d}.txt": b"a red one"}
    members |= {"shard/00009.json": json.dumps({"caption": "a blue one"}).encode(), "shard/00009.png": png("blue")}
    members |= {"shard/00010.txt": b"no picture"}
    data = read("webdataset", archive(tmp_path / "0.tar", members), tmp_path)
    assert shown(data) == [("red", "", "a red one", False)] * 9 + [("blue", "", "a blue one", True)]
    assert data.origin.details["left_out"] == ["1 missing pictures"]


def parquet(path: Path, columns: dict[str, Any]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path)


def test_jats_pictures_have_captions_or_a_question_in_the_text(tmp_path: Path) -> None:
    image = {"bytes": png("red"), "path": "0.png"}
    parquet(tmp_path / "train-00000-of-00001.parquet", {"images": [image], "text": ["Q: What color is it? A: red"]})
    image = {"bytes": png("blue"), "path": "0.png"}
    parquet(tmp_path / "test-00000-of-00001.parquet", {"images": [image], "text": ["a blue one"]})
    data = read("jat-pairs", tmp_path, tmp_path)
    assert sorted(shown(data)) == [("blue", "", "a blue one", True), ("red", "What color is it?", "red", False)]
    parquet(tmp_path / "train-00000-of-00001.parquet", {"pictures": [1], "text": ["a"]})
    assert "has the columns pictures, text and no images" in refusal(lambda: read("jat-pairs", tmp_path, tmp_path))


def test_tux_paints_stamps_have_an_english_first_line_and_no_letters(tmp_path: Path) -> None:
    for place in range(10):
        put(tmp_path / f"stamps/animals/{place}.png", png("red"))
        put(tmp_path / f"stamps/animals/{place}.txt", "A red animal.\nde.utf8=Ein rotes Tier.\n")
    put(tmp_path / "stamps/symbols/a.png", png("blue"))
    put(tmp_path / "stamps/symbols/a.txt", "The letter A.\n")
    put(tmp_path / "stamps/animals/mask.png", png("blue"))
    data = read("tux-paint", tmp_path / "stamps", tmp_path)
    assert shown(data) == [("red", "", "A red animal.", place == 9) for place in range(10)]


def test_an_emoji_is_held_out_in_all_skin_tones(tmp_path: Path) -> None:
    rows = []
    for place in range(10):
        tones = {"1F3FB-1F3FF": {"image": f"{place}-tones.png"}} if place in (2, 9) else None
        rows.append({"name": f"NUMBER {place}", "image": f"{place}.png", "skin_variations": tones})
        put(tmp_path / f"img/twitter/64/{place}.png", png("red"))
        put(tmp_path / f"img/twitter/64/{place}-tones.png", png("blue"))
    put(tmp_path / "emoji.json", json.dumps(rows))
    data = read("emoji", tmp_path, tmp_path)
    assert len(data.which) == 12
    assert shown(data)[3] == ("blue", "", "number 2, light skin tone, dark skin tone", False)
    assert [row[2] for row in shown(data) if row[3]] == ["number 9", "number 9, light skin tone, dark skin tone"]


def test_easy_vqa_keeps_its_own_split(tmp_path: Path) -> None:
    for part, color in (("train", "red"), ("test", "blue")):
        rows = [["what color is it?", color, 0], ["is there a circle?", "no", 0]]
        put(tmp_path / part / "questions.json", json.dumps(rows))
        put(tmp_path / part / "images/0.png", png(color))
    assert shown(read("easy-vqa", tmp_path, tmp_path)) == [
        ("red", "what color is it?", "red", False), ("red", "is there a circle?", "no", False),
        ("blue", "what color is it?", "blue", True), ("blue", "is there a circle?", "no", True),
    ]  # fmt: skip


def test_the_catalog_knows_what_each_layout_holds() -> None:
    kinds = {**dict.fromkeys(pairs.LAYOUTS, "pairs"), **dict.fromkeys(text.LAYOUTS, "text")}
    assert kinds == answered.LAYOUTS


# ---- text -----------------------------------------------------------------------------------------------------------


def documents(data: Text) -> list[tuple[str, bool]]:
    return list(zip(data.documents, data.held_out.tolist(), strict=True))


def test_of_a_folder_of_texts_every_tenth_file_is_held_out(tmp_path: Path) -> None:
    for place in range(12):
        put(tmp_path / f"texts/{place // 6}/{place:02d}.{'rst' if place % 2 else 'txt'}", f"Number {place}: é.\n")
    put(tmp_path / "texts/picture.png", png())
    put(tmp_path / "texts/empty.md", "")
    for hidden in (".git/notes.txt", "0/._00.txt"):
        put(tmp_path / "texts" / hidden, b"\xff\x00")
    found = documents(text.read("text", tmp_path / "texts", ORIGIN))
    assert found == [(f"Number {place}: é.\n", place == 9) for place in range(12)]


def test_of_one_text_file_the_last_tenth_is_held_out_from_a_line_on(tmp_path: Path) -> None:
    lines = [f"line {place}\n" for place in range(100)]
    data = text.read("text", put(tmp_path / "a.txt", "".join(lines)), ORIGIN)
    (learned, first), (measured, second) = documents(data)
    assert (first, second) == (False, True)
    assert learned + measured == "".join(lines)
    assert measured.startswith("line ")
    assert len(learned) == pytest.approx(0.9 * len(learned + measured), abs=10)


def test_a_book_of_the_king_james_bible_is_a_document(tmp_path: Path) -> None:
    books = [f"Book {place}" for place in range(10)]
    verses = [{"book": book, "chapter": 1, "verse": n, "text": f"{book} verse {n}."} for book in books for n in (1, 2)]
    put(tmp_path / "kjv.jsonl", "\n".join(map(json.dumps, verses)) + "\n")
    found = documents(text.read("kjv", tmp_path, ORIGIN))
    assert found == [(f"{book} verse 1.\n{book} verse 2.\n", place == 9) for place, book in enumerate(books)]


def test_jats_texts_are_documents_row_by_row(tmp_path: Path) -> None:
    parquet(tmp_path / "train-0.parquet", {"text": ["one", "two"]})
    parquet(tmp_path / "test-0.parquet", {"text": ["three"]})
    found = documents(text.read("jat-text", tmp_path, ORIGIN))
    assert sorted(found) == [("one", False), ("three", True), ("two", False)]


# ---- hostile files --------------------------------------------------------------------------------------------------


HOSTILE: dict[str, tuple[str, dict[str, bytes | str], str]] = {  # layout, files, what the sentence has
    "nothing": ("coco-captions", {"a.txt": ""}, r"holds no captions_\*.json"),
    "lists without end": ("coco-captions", {"captions_a.json": "[" * 10**5}, "truncated or damaged"),
    "half of a file": ("coco-captions", {"captions_a.json": '{"images": ['}, "it is no JSON"),
    "another layout": ("coco-captions", {"captions_a.json": '{"images": 3}'}, "not laid out as coco-captions"),
    "bytes": ("coco-captions", {"captions_a.json": b"\xff\xfe\x00"}, "it is no JSON"),
    "a picture elsewhere": (
        "coco-captions",
        {
            "captions_a.json": json.dumps(
                {"images": [{"id": 1, "file_name": "../../x.png"}], "annotations": [{"image_id": 1, "caption": "a"}]}
            )
        },
        "leads out of",
    ),
    "a number for a name": ("vqa", {"v_questions.json": "{}"}, r"has 0 \*_annotations.json"),
    "no archive": ("webdataset", {"a.tar": b"x" * 2000}, "truncated or damaged"),
    "no parquet": ("jat-pairs", {"train-0.parquet": b"PAR1" + bytes(64) + b"PAR1"}, "it is no parquet"),
    "rows of another shape": ("easy-vqa", {"train/questions.json": "[[1, 2]]"}, "not laid out as easy-vqa"),
    "names that are none": (
        "emoji",
        {"emoji.json": '[{"name": null}]', "img/a/64/b.png": b""},
        "not laid out as emoji",
    ),
    "an unknown tone": (
        "emoji",
        {
            "emoji.json": json.dumps([{"name": "A", "image": "b.png", "skin_variations": {"XYZ": {"image": "b.png"}}}]),
            "img/a/64/b.png": png(),
        },
        "not laid out as emoji",
    ),
    "text that is none": ("text", {"a.txt": b"\xff\xfe\x00"}, "it is no text in UTF-8"),
    "one line": ("text", {"a.txt": "one line"}, "1 documents to learn from|0 documents to learn from"),
    "no text": ("text", {"a.png": png()}, r"holds no file that ends in .txt"),
    "verses that are none": ("kjv", {"kjv.jsonl": "3\n"}, "not laid out as kjv"),
}


@pytest.mark.parametrize(("layout", "files", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_files_of_another_kind_are_refused_in_one_sentence(
    tmp_path: Path, layout: str, files: dict[str, bytes | str], sentence: str
) -> None:
    if layout == "jat-pairs":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    for name, content in files.items():
        put(tmp_path / "given" / name, content)

    def read_any() -> object:
        kind = answered.LAYOUTS[layout]
        given = tmp_path / "given"
        return read(layout, given, tmp_path) if kind == "pairs" else text.read(layout, given, ORIGIN)

    with pytest.raises(UserError, match=sentence):
        read_any()
    refusal(read_any)


def test_a_pipe_among_texts_and_pictures_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path / "texts/a.txt", "one\ntwo\n")
    os.mkfifo(tmp_path / "texts/b.txt")
    assert len(documents(text.read("text", tmp_path / "texts", ORIGIN))) == 2
    put(tmp_path / "stamps/a.txt", "A pipe.\n")
    os.mkfifo(tmp_path / "stamps/a.png")
    assert "holds no" in refusal(lambda: read("tux-paint", tmp_path / "stamps", tmp_path))


def test_a_tar_of_a_member_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    about = tarfile.TarInfo("b.jpg")
    about.size = 1 << 40
    path = put(tmp_path / "0.tar", about.tobuf() + bytes(1024))
    assert "no compression does" in refusal(lambda: read("webdataset", path, tmp_path))
