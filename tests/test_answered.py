"""Pairs and texts as data sets: kept like trajectories, fetched by package managers, known to every command."""

import hashlib
import json
import re
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import data as verbs
from sources import answers, contact_sheet, packages
from sources.loading import Request, describe, load
from tests import answers as made_up
from tests.answers import png, put
from training.settings import parse
from trajectories import store
from trajectories.answered import Package, answered_rows
from trajectories.catalog import answered_kind, dataset, dataset_names, environment
from trajectories.errors import DatasetError, UserError
from trajectories.mixture import Mixture
from trajectories.pairs import Pairs
from trajectories.text import Text

NAMES = ("easy-vqa", "emoji", "stamps", "text-python", "text-bible")


# ---- the nouns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [made_up.pairs, made_up.text])
def test_pairs_and_texts_are_stored_mapped_and_hashed_like_trajectories(tmp_path: Path, make) -> None:
    data = make()
    store.save(tmp_path / "kept", data)
    opened = store.load(tmp_path / "kept")
    assert type(opened) is type(data)
    assert opened.origin == replace(data.origin, digest=store.digest(data))
    assert opened.spec == data.spec
    for name, column in data.columns.items():
        assert not opened.columns[name].flags.writeable
        np.testing.assert_array_equal(opened.columns[name], column)
    renamed = replace(data, origin=replace(data.origin, name="other"))
    assert store.digest(renamed) == store.digest(data) == store.digest(opened)
    assert store.digest(replace(data, held_out=~data.held_out)) != store.digest(data)
    (tmp_path / "kept" / "held_out.npy").unlink()
    assert store.find(tmp_path / "kept") is None


def test_each_text_of_pairs_is_kept_once() -> None:
    data = made_up.pairs(questions=True)
    assert sorted(data.texts) == ["blue", "green", "red", "what color is it?"]
    assert data.has_questions
    assert not made_up.pairs().has_questions
    assert len(data.learned) + len(data.measured) == 40
    assert len(data) == len(data.learned)


def test_a_mixture_holds_tasks_of_every_kind() -> None:
    mixture = Mixture((made_up.pairs(), made_up.text()))
    assert [spec.name for spec in mixture.spec] == ["made-up", "words"]
    assert [spec.kind for spec in mixture.spec] == ["pairs", "text"]
    with pytest.raises(UserError, match="has made-up 2 times"):
        Mixture((made_up.pairs(), made_up.text("made-up")))


def test_data_without_a_part_to_measure_by_are_refused() -> None:
    data = made_up.pairs()
    with pytest.raises(DatasetError, match="40 pairs to learn from and 0 to measure by"):
        Pairs.of(data.origin, data.images, data.which, [""] * 40, ["a"] * 40, np.zeros(40, bool))
    with pytest.raises(DatasetError, match="0 documents to learn from and 5 to measure by"):
        Text.of(data.origin, made_up.text().documents, np.ones(5, bool))


# ---- the catalog ----------------------------------------------------------------------------------------------------


def test_every_row_has_a_license_a_package_and_a_task_without_an_environment() -> None:
    assert tuple(answered_rows()) == NAMES
    for name, row in answered_rows().items():
        assert dataset(name) is row
        assert row.license
        assert row.package is not None
        assert row.package.manager in packages.COMMANDS
        assert re.fullmatch(r"[0-9a-f]{64}", row.package.sha256)
        assert answered_kind(name) == row.kind == row.environment.spec().kind
        assert name not in dataset_names()
        with pytest.raises(UserError, match="has no environment"):
            environment(name)
    assert answered_kind("mine@coco-captions") == "pairs"
    assert answered_kind("mine@hopper") == answered_kind("hopper-medium") == answered_kind("nothing?") == ""
    with pytest.raises(UserError, match="did you mean easy-vqa"):
        dataset("easyvqa")


@pytest.mark.parametrize("model", ["bc", "dt", "tt"])
@pytest.mark.parametrize("name", ["easy-vqa", "text-python", "mine@vqa"])
def test_models_that_only_act_refuse_what_is_answered(model: str, name: str) -> None:
    with pytest.raises(UserError, match=f"^{model} acts in environments, and {name} holds (pictures|text).*gato"):
        parse(["--model", model, "--env", name])


# ---- packages -------------------------------------------------------------------------------------------------------


def wheel(path: Path) -> Path:
    """A package in easy-VQA's layout."""
    for part, color in (("train", "red"), ("test", "blue")):
        folder = path.parent / "easy_vqa/data" / part
        put(folder / "questions.json", json.dumps([["what color is it?", color, 0]]))
        put(folder / "images/0.png", png(color))
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((path.parent / "easy_vqa").rglob("*")):
            archive.write(file, file.relative_to(path.parent))
    return path


@pytest.fixture
def fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """easy-vqa's package is a small one here, and pip a program that copies it."""
    file = wheel(put(tmp_path / "files/easy_vqa-1.0-py3-none-any.whl", b""))
    known = {"size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    row = replace(answered_rows()["easy-vqa"], package=Package("pip", "easy-vqa", "1.0", **known))
    monkeypatch.setitem(answered_rows(), "easy-vqa", row)
    code = f"import shutil; shutil.copy({str(file)!r}, '.')"
    monkeypatch.setitem(packages.COMMANDS, "pip", lambda package, folder: [sys.executable, "-c", code])
    return file


def test_a_package_is_fetched_once_read_and_verified(
    fetching: Path, own_cache: Path, capsys: pytest.CaptureFixture
) -> None:
    verbs.main(["fetch", "easy-vqa"])
    printed = capsys.readouterr().out
    assert "Fetching easy-vqa" in printed
    assert "1 pairs of 1 pictures to learn from, 1 pairs of 1 pictures to measure by; 1 questions, 2 answers" in printed
    assert "pip easy-vqa 1.0, MIT" in printed
    fetching.unlink()  # the second time nothing is fetched
    data = load("easy-vqa")
    assert data.origin.details["license"] == "MIT"
    assert describe(data) in printed
    assert sorted(path.name for path in (own_cache / "columns").glob("*/*")) == sorted(
        ["provenance.json", *(f"{name}.npy" for name in data.columns)]
    )
    verbs.main(["verify", "easy-vqa"])
    assert f"sha256 {data.origin.digest}, as when it was stored" in capsys.readouterr().out
    verbs.main(["list", "easy"])
    assert re.search(r"easy-vqa +package\n  in the cache: package [\d.]+ MB, columns", capsys.readouterr().out)
    verbs.main(["remove", "easy-vqa"])
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert not [*own_cache.glob("package/*"), *own_cache.glob("columns/*")]


def test_a_package_that_is_not_the_known_one_is_refused_but_of_debian(
    fetching: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    row = answered_rows()["easy-vqa"]
    assert row.package is not None
    other = replace(row.package, sha256="0" * 64)
    monkeypatch.setitem(answered_rows(), "easy-vqa", replace(row, package=other))
    with pytest.raises(UserError, match="pip delivers another file of that name"):
        load("easy-vqa")
    assert not [*own_cache.glob("package/*"), *own_cache.glob("package/.*.tmp")]
    monkeypatch.setitem(packages.COMMANDS, "apt", packages.COMMANDS["pip"])
    monkeypatch.setitem(answered_rows(), "easy-vqa", replace(row, package=replace(other, manager="apt")))
    assert "Beware: easy_vqa-1.0-py3-none-any.whl is another version than apt easy-vqa 1.0" in describe(
        load("easy-vqa")
    )


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            None,
            "pip is not installed.: get easy-vqa 1.0 elsewhere, unpack it, and name easy_vqa/data",
        ),
        ([sys.executable, "-c", "import sys; sys.exit('ERROR: no such version')"], "pip says ERROR: no such version"),
        ([sys.executable, "-c", ""], "pip says nothing"),
        (["/no/such/program"], "pip: .*No such file"),
    ],
)
def test_a_package_manager_that_is_missing_or_fails_is_named_with_the_way_around_it(
    fetching: Path, monkeypatch: pytest.MonkeyPatch, command: list[str] | None, sentence: str
) -> None:
    monkeypatch.setitem(packages.COMMANDS, "pip", lambda package, folder: command)
    with pytest.raises(UserError, match=sentence) as caught:
        load("easy-vqa")
    assert len(str(caught.value).splitlines()) == 1


def test_commands_of_package_managers_fetch_one_file_and_install_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    for name in NAMES:
        package = answered_rows()[name].package
        assert package is not None
        command = packages.COMMANDS[package.manager](package, tmp_path)
        assert command
        assert {"download", "pack"} & set(command)
        assert not {"install", "i", "add"} & set(command)
    assert "--hash=sha256:" in (tmp_path / packages.REQUIREMENTS).read_text()


# ---- files of one's own ---------------------------------------------------------------------------------------------


def test_files_of_ones_own_are_read_again_when_they_change(tmp_path: Path) -> None:
    for place in range(3):
        put(tmp_path / f"texts/deep/{place}.txt", f"document {place}\n")
    first = load(Request("texts@text", path=tmp_path / "texts"))
    assert first.spec.kind == "text"
    assert answers.describe(first).startswith("Data: texts@text from file (texts): ")
    put(tmp_path / "texts/deep/1.txt", "another one\n")
    second = load(Request("texts@text", path=tmp_path / "texts"))
    assert second.origin.digest != first.origin.digest
    assert list(second.documents)[1] == "another one\n"
    with pytest.raises(UserError, match="data of your own: name their folder"):
        load("texts@text")
    with pytest.raises(UserError, match="is answered, and comes from its package or from --path"):
        load(Request("texts@text", source="collected"))
    with pytest.raises(UserError, match="hopper-medium is recorded, and in no package"):
        load(Request("hopper-medium", source="package"))


# ---- what is shown --------------------------------------------------------------------------------------------------


def test_pairs_are_shown_as_a_contact_sheet(fetching: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from PIL import Image

    verbs.main(["show", "easy-vqa", "--picture", str(tmp_path / "sheet.png")])
    printed = capsys.readouterr().out
    assert "to measure 1 pairs, 1 distinct answers" in printed
    assert "blue 100.0%" in printed
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.getpixel((contact_sheet.MARGIN + 80, contact_sheet.MARGIN + 80)) == (220, 0, 0)
        assert len(sheet.getcolors(1 << 20)) > 3  # what is written below the picture
    with pytest.raises(UserError, match=r"--picture .*sheet.svg: name it .png"):
        verbs.main(["show", "easy-vqa", "--picture", str(tmp_path / "sheet.svg")])
    with pytest.raises(UserError, match="no steps that Minari or D4RL could hold"):
        verbs.main(["export", "easy-vqa"])


def test_a_sheet_has_rows_of_six_and_long_texts_are_cut(tmp_path: Path) -> None:
    from PIL import Image

    images = np.zeros((7, 8, 8, 3), np.uint8)
    contact_sheet.draw(images, ["word " * 200, *["a"] * 6], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        width, margin = contact_sheet.CELL, contact_sheet.MARGIN
        assert sheet.size == (6 * (width + margin) + margin, 2 * width + 5 * margin + 17 * (contact_sheet.LINES + 1))


def test_a_text_is_shown_by_how_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for place in range(3):
        put(tmp_path / f"texts/{place}.txt", f"document {place}\n")
    verbs.main(["show", "--task", "text", "--path", str(tmp_path / "texts")])
    printed = capsys.readouterr().out
    assert "to learn   22 bytes in 2 documents" in printed
    assert printed.endswith("The first document that is held out begins:\ndocument 2\n")
