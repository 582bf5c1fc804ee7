"""Pictures with captions or questions, as others lay them out: each layout is one function, which gives its pairs.

    coco_captions        captions_*.json beside or above folders of pictures (cocodataset.org)
    conceptual_captions  caption<TAB>address in *.tsv, and a folder of pictures that are called by their row, from 0,
                         or by the hash of their address
    vqa                  *_questions.json and *_annotations.json of VQAv2 or OK-VQA, and COCO's pictures
    webdataset           .tar with key.jpg and key.txt or key.json
    jat                  train-*.parquet and test-*.parquet of JAT's conceptual-captions and ok-vqa
    tux_paint            NAME.png beside NAME.txt, whose first line is English (Tux Paint's stamps)
    emoji                emoji.json and img/*/64/*.png (npm's emoji-datasource-*)
    easy_vqa             train/ and test/, each with questions.json and images/

Where a layout has no part to measure by, every tenth picture is held out. What is missing or cannot be read is counted
and left out.
"""

import hashlib
import itertools
import re
import tarfile
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats.foreign_files import damaged, files_of, parquet_rows, read_json, within
from trajectories.formats.limits import check_declared
from trajectories.formats.pictures import ENDINGS, LONGEST, PictureError, square
from trajectories.formats.streams import GrowingColumn
from trajectories.pairs import Pairs
from trajectories.progress import progress
from trajectories.types import Provenance

TENTH = 10  # of so many pictures the last is held out
TONES = {  # Unicode's names of skin tones (emoji modifiers, Unicode 15.0, section 22.9)
    **{"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"},
}
PART = re.compile(r"(train|val|test)[a-z]*\d*", re.IGNORECASE)
OK_VQA = re.compile(r"Q: (?P<question>.*?) A: (?P<answer>.*)", re.DOTALL)


@dataclass(frozen=True)
class Pair:
    """A pair as a layout has it."""

    key: Hashable  # of the picture, which several pairs may show
    picture: Path | bytes | None  # None: the layout names it, and it is not there
    answer: str
    question: str = ""
    held_out: bool | None = None  # None: the layout does not say


def read(layout: str, path: Path, origin: Provenance, side: int, folder: Path) -> Pairs:
    """The pairs of a file or folder, every picture (side, side, 3).

    Args:
        layout: one of `LAYOUTS`.
        folder: where the column of pictures is written, which may be larger than memory.

    Raises:
        DatasetError: nothing can be read, or no pair is left; it says what is missing.
    """
    with damaged(path, f"it is not laid out as {layout} is"):
        return gather(LAYOUTS[layout](path), origin, side, folder)


def gather(pairs: Iterable[Pair], origin: Provenance, side: int, folder: Path) -> Pairs:
    """Decode each picture once, and count what is missing."""
    places: dict[Hashable, int] = {}  # of a picture among the images; -1: it is missing or cannot be read
    held, which, questions, answers = [], [], [], []
    left_out = dict.fromkeys(("missing pictures", "pictures that cannot be read", "pairs without an answer"), 0)
    with GrowingColumn(folder / "images.npy", (side, side, 3), "uint8") as images, progress(None, "reading") as bar:
        for pair in pairs:
            bar.update()
            if pair.key not in places:
                places[pair.key] = -1
                try:
                    if pair.picture is None or (isinstance(pair.picture, Path) and not pair.picture.exists()):
                        left_out["missing pictures"] += 1
                        continue
                    images.append(square(pair.picture, side)[None])
                except PictureError:
                    left_out["pictures that cannot be read"] += 1
                    continue
                places[pair.key] = images.length - 1
                held.append(images.length % TENTH == 0 if pair.held_out is None else pair.held_out)
            answer = " ".join(pair.answer.split())
            if places[pair.key] < 0 or not answer:
                left_out["pairs without an answer"] += not answer
                continue
            which.append(places[pair.key])
            questions.append(" ".join(pair.question.split()))
            answers.append(answer)
    caveats = [f"{count:,} {what}" for what, count in left_out.items() if count]
    if not which:
        raise DatasetError(
            f"{origin.name} has no pair that can be read ({', '.join(caveats) or 'it is empty'}): check --path."
        )
    if caveats:
        origin = Provenance(origin.name, origin.source, origin.digest, origin.details | {"left_out": caveats})
    column = np.load(folder / "images.npy", mmap_mode="r")
    return Pairs.of(origin, column, np.array(which), questions, answers, np.array(held)[which])


# ---- layouts --------------------------------------------------------------------------------------------------------


def coco_captions(path: Path) -> Iterator[Pair]:
    files = files_of(path, "captions_*.json")
    for file in files:
        content, part = read_json(file), _part(file.name)
        names = {image["id"]: image["file_name"] for image in content["images"]}
        folders = _folders(file, part)
        for annotation in content["annotations"]:
            name = names.get(annotation["image_id"])
            picture = None if name is None else _first(folders, name)
            yield Pair(
                (part, annotation["image_id"]), picture, annotation["caption"], held_out=_is_held_out(part, files)
            )


def conceptual_captions(path: Path) -> Iterator[Pair]:
    files = files_of(path, "*.tsv")
    for file in files:
        folders = [file.with_suffix(""), *(file.parent / name for name in ("images", "."))]
        folder = next(folder for folder in folders if folder.is_dir())
        pictures = {_number(each.stem): each for each in folder.iterdir() if each.suffix.lower() in ENDINGS}
        with file.open(encoding="utf-8", newline="\n") as lines:
            for row, line in enumerate(lines):
                caption, _, address = line.rstrip("\r\n").partition("\t")
                hashes = (hashlib.new(name, address.encode()).hexdigest() for name in ("md5", "sha1", "sha256"))
                found = next((pictures[name] for name in (row, *hashes) if name in pictures), None)
                yield Pair((file.name, row), found, caption, held_out=_is_held_out(_part(file.name), files))


def vqa(path: Path) -> Iterator[Pair]:
    files = files_of(path, "*_questions.json")
    for file in files:
        part = _part(file.name)
        answers = [each for each in file.parent.glob("*_annotations.json") if _part(each.name) == part]
        if len(answers) != 1:
            raise DatasetError(
                f"{file.parent} has {len(answers)} *_annotations.json for {file.name}: give one for each."
            )
        questions = {each["question_id"]: each for each in read_json(file)["questions"]}
        folders = _folders(file, part)
        for annotation in read_json(answers[0])["annotations"]:
            image, question = annotation["image_id"], questions[annotation["question_id"]]["question"]
            answer = annotation.get("multiple_choice_answer") or annotation["answers"][0]["answer"]
            picture = _first(folders, f"COCO_{part}_{image:012d}.jpg")
            yield Pair((part, image), picture, answer, question, _is_held_out(part, files))


def webdataset(path: Path) -> Iterator[Pair]:
    for file in files_of(path, "*.tar*"):
        declared = 0
        with tarfile.open(file, "r|*") as archive:
            members = (member for member in archive if member.isfile())
            for key, group in itertools.groupby(members, lambda member: _key(member.name)):
                parts: dict[str, bytes] = {}
                for member in group:
                    declared += member.size
                    check_declared(declared, file.stat().st_size, str(file))
                    content = archive.extractfile(member) if member.size <= LONGEST else None
                    parts[Path(member.name).name.partition(".")[2].lower()] = content.read() if content else b""
                picture = next((parts[end[1:]] for end in ENDINGS if end[1:] in parts), None)
                caption = parts["txt"].decode() if "txt" in parts else ""
                if not caption and "json" in parts:
                    caption = str(read_json(file, parts["json"]).get("caption", ""))
                yield Pair((file.name, key), picture, caption)


def jat(path: Path) -> Iterator[Pair]:
    files = files_of(path, "*.parquet")
    for file in files:
        part = _part(file.name)
        for row, (image, text) in enumerate(parquet_rows(file, ("images", "text"))):
            found = OK_VQA.fullmatch(text)
            question, answer = found.groups() if found else ("", text)
            yield Pair((file.name, row), image["bytes"], answer, question, _is_held_out(part, files))


def tux_paint(path: Path) -> Iterator[Pair]:
    for picture in files_of(path, "**/*.png"):
        about = picture.with_suffix(".txt")
        if "symbols" in picture.relative_to(path).parts[:-1] or not about.is_file():
            continue  # letters and figures; overlays and the like have no sentence
        with about.open(encoding="utf-8") as lines:
            yield Pair(picture, picture, lines.readline(LONGEST))


def emoji(path: Path) -> Iterator[Pair]:
    (folder,) = {file.parent for file in files_of(path, "img/*/64/*.png")}
    for place, row in enumerate(read_json(path / "emoji.json")):
        name, held_out = row["name"].lower(), place % TENTH == TENTH - 1  # in all skin tones
        yield Pair(row["image"], within(folder, row["image"]), name, held_out=held_out)
        for tones, shown in (row.get("skin_variations") or {}).items():
            of_skin = ", ".join(f"{TONES[tone]} skin tone" for tone in tones.split("-"))
            yield Pair(shown["image"], within(folder, shown["image"]), f"{name}, {of_skin}", held_out=held_out)


def easy_vqa(path: Path) -> Iterator[Pair]:
    for part in ("train", "test"):
        for question, answer, image in read_json(path / part / "questions.json"):
            picture = path / part / "images" / f"{int(image)}.png"
            yield Pair((part, image), picture, answer, question, part == "test")


LAYOUTS: dict[str, Callable[[Path], Iterator[Pair]]] = {
    "coco-captions": coco_captions,
    "conceptual-captions": conceptual_captions,
    "vqa": vqa,
    "webdataset": webdataset,
    "jat-pairs": jat,
    "tux-paint": tux_paint,
    "emoji": emoji,
    "easy-vqa": easy_vqa,
}


# ---- what layouts share ---------------------------------------------------------------------------------------------


def _part(name: str) -> str:
    """train2014 of captions_train2014.json; "" where a file's name has no such word."""
    found = PART.search(name)
    return found[0] if found else ""


def _is_held_out(part: str, files: list[Path]) -> bool | None:
    """Whether a file is the part to measure by; None where all files are one part."""
    learned = {_part(file.name).lower().startswith("train") for file in files}
    return None if len(learned) == 1 else not part.lower().startswith("train")


def _folders(file: Path, part: str) -> list[Path]:
    """Where the pictures of COCO's annotations may lie."""
    above = [file.parent, file.parent.parent] if file.parent.name == "annotations" else [file.parent]
    return [folder / inner for folder in above for inner in (part, f"images/{part}", "images", ".")]


def _first(folders: list[Path], name: Any) -> Path | None:
    """The picture in the first of the folders that has it."""
    return next((found for folder in folders if (found := within(folder, name)).exists()), None)


def _number(stem: str) -> int | str:
    """A picture's row where its name is a number, 000000123 as 123; else its name."""
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 20 else stem.lower()


def _key(name: str) -> str:
    """What a tar's members of one sample share: all before the first dot of the file's own name."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"
