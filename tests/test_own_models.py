"""A model that lives outside this repository: named on the command line, and never by a file."""

import subprocess
import sys
from pathlib import Path

import pytest

from report.store import read_record
from tests.recordings import STACKED
from training.checkpoint import load_model
from training.provenance import ROOT
from training.registry import find, find_named
from trajectories.errors import UserError

GRU = "tests.gru:GRU"


def command(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, f"experiments/{script}.py", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)


def test_a_model_of_ones_own_is_run_recorded_and_played_by_its_name(tmp_path: Path) -> None:
    small = ("--updates", "3", "--episodes", "2", "--precision", "fp32", "--threads", "1")
    done = command("run", "--model", GRU, "--env", "toy-medium", *small, "--results-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert read_record(folder).model == GRU
    assert "episode 0: return" in command("play", str(folder), "--model", GRU).stdout
    refused = command("play", str(folder))
    assert refused.returncode == 2
    assert refused.stderr == f"The model {GRU} lives outside this repository: name it with --model {GRU}.\n"
    with pytest.raises(UserError, match="lives outside"):
        load_model(folder)


def test_a_name_from_a_file_imports_nothing() -> None:
    with pytest.raises(UserError, match="name it with --model os:system"):
        find("os:system")


@pytest.mark.parametrize("name", ["nowhere.at_all:Model", "tests.gru:GRUU", "tests.gru:"])
def test_a_model_that_cannot_be_imported_is_answered_in_a_sentence(name: str) -> None:
    with pytest.raises(UserError, match="cannot be imported"):
        find_named(name)


def test_a_model_of_vectors_is_refused_where_images_are_shown() -> None:
    done = command("run", "--model", GRU, "--env", "breakout")
    assert (done.returncode, done.stderr) == (2, f"{GRU} reads vectors, but breakout shows images: choose another.\n")


@pytest.mark.parametrize("name", ["bc", "dt", "tt"])
def test_stacked_frames_of_numbers_are_refused_where_one_would_be_normalized(name: str) -> None:
    with pytest.raises(UserError, match="4 frames of numbers at a time"):
        find(name, STACKED)
    assert find("gato", STACKED).name == "gato"
