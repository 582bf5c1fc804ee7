"""The repository as a package: what pip installs is all that the code needs, and works from any folder."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from training.provenance import CODE

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = CODE
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ELSEWHERE = """
import sys, gato
from decision_transformer.model import DecisionTransformer
from training import run as whole_run
from training.settings import parse
from gato.text import SHIPPED
from report import page, published
from training import provenance
from sources.experts.recipes import available
from sources.loading import Request, load

assert gato.__file__.startswith(sys.argv[1]), gato.__file__
assert SHIPPED.exists() and published.FILE.exists() and page.STYLE.exists() and page.SCRIPT.exists()
assert available("hopper", "medium") and parse(["--env", "breakout", "--preset", "smoke"])
assert len(load(Request("toy-medium", "collected", steps=200))) == 200
assert provenance.commit() == ("unknown", True)
print(whole_run.RESULTS)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this code, built without a network, as the folder that pip makes of it."""
    if int(version("setuptools").partition(".")[0]) < 77:  # not imported here: it wants to come before distutils
        pytest.skip("setuptools 77 is not installed: requirements-dev.txt")
    source, unpacked = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site-packages")
    for room in PACKAGES:
        copytree(ROOT / room, source / room, ignore=ignore_patterns("__pycache__", "runs", "again", "logs", "figures"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(source)], cwd=source, capture_output=True, check=True)
    (file,) = source.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_the_installed_package_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    machine = os.environ | {"PYTHONPATH": str(wheel), "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", ELSEWHERE, str(wheel)]
    done = subprocess.run(command, cwd=tmp_path, env=machine, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "results")  # and not within site-packages


CHECKS = {  # what holds behind the last cell
    "five_calls": "assert len(scores.returns) == 10 and len(results) == 1",
    "generalist": "assert scores.success.mean() > 0.3 and captioned > 0.1 and answered > 0.3 and len(frames) > 10",
    "add_a_model": "assert passed == 0 and set(results.model) == {'gru_model:GRU', 'bc'}",
}


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_from_another_folder(wheel: Path, tmp_path: Path, notebook: Path) -> None:
    if notebook.stem == "generalist":
        pytest.importorskip("minigrid", reason="needs minigrid: pip install -r requirements-extra.txt")
    copytree(ROOT / "tests", tmp_path / "tests", ignore=ignore_patterns("__pycache__"))  # one runs the models' battery
    places = os.pathsep.join([str(wheel), str(tmp_path)])
    machine = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    code = f"{CHECKS[notebook.stem]}\nprint(load.__code__.co_filename)"
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/notebook.py"), str(notebook), "--then", code],
        cwd=tmp_path,
        env=machine,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(wheel))


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_documented_small_and_names_no_machine_s_places(notebook: Path) -> None:
    text = notebook.read_text(encoding="utf-8")
    kinds = [cell["cell_type"] for cell in json.loads(text)["cells"]]
    assert len(text) < 300_000
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= kinds.count("code") - 1
    assert not [place for place in ("/work/", "/tmp/", "/home/", "/root/", "/Users/") if place in text]


def test_the_package_has_every_file_of_code_and_data(wheel: Path) -> None:
    needed = {".py", ".toml", ".json", ".safetensors", ".model", ".css", ".js"}
    files = {path for room in PACKAGES for path in (ROOT / room).rglob("*") if path.suffix in needed}
    ours = {path.relative_to(ROOT).as_posix() for path in files}
    ours = {name for name in ours if not name.startswith(("results/runs/", "results/again/", "results/logs/"))}
    there = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.suffix in needed}
    assert there == ours


@pytest.mark.parametrize(
    ("file", "extra"),
    [
        ("requirements.txt", ""),
        ("requirements-extra.txt", "robotics"),
        ("requirements-policies.txt", "policies"),
        ("requirements-ray.txt", "ray"),
        ("requirements-export.txt", "export"),
        ("requirements-dev.txt", "dev"),
    ],
)
def test_pyproject_and_the_requirements_files_name_the_same_versions(file: str, extra: str) -> None:
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    required = [line for line in lines if line and not line.startswith("-r ")]
    named = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    assert required == [name for name in named if not name.startswith(PROJECT["name"])]
    assert ("-r requirements.txt" in lines) == bool(extra)


# Installed without what they ask for, which does not go with the rest (its own first lines)
APART = "requirements-procgen.txt"


def test_the_tests_are_run_with_every_extra() -> None:
    others = PROJECT["optional-dependencies"].keys() - {"dev"}
    own = next(name for name in PROJECT["optional-dependencies"]["dev"] if name.startswith(PROJECT["name"]))
    assert set(own.partition("[")[2].rstrip("]").split(",")) == others
    included = {line for line in (ROOT / "requirements-dev.txt").read_text().splitlines() if line.startswith("-r ")}
    assert included == {f"-r {path.name}" for path in ROOT.glob("requirements*.txt")} - {
        "-r requirements-dev.txt",
        f"-r {APART}",
    }


def test_every_requirements_file_is_an_extra() -> None:
    files = {path.name for path in ROOT.glob("requirements*.txt")} - {APART}
    assert len(files) == 1 + len(PROJECT["optional-dependencies"])
    assert (ROOT / APART).is_file()
