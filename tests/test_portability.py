"""Any account, any terminal, any system: nothing about the machine is taken for granted."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

from sources.loading import Request, load
from training import devices, jobs, provenance
from training.devices import find_device
from training.grid import Planned
from training.settings import parse
from trajectories import disk, minari_folders
from trajectories.errors import UserError
from trajectories.output import similar_character

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (*provenance.CODE, "benchmarks")
SOURCES = tuple(sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")))
POSIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}
RUN = ("--model", "bc", "--env", "toy-medium", "--steps", "200", "--source", "collected", "--updates", "2")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# ---- systems ---------------------------------------------------------------------------------------------------------


def unguarded(node: ast.AST) -> Iterator[str]:
    """What is imported outside of a `try`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield str(node.module)
    for child in ast.iter_child_nodes(node) if not isinstance(node, ast.Try) else node.handlers:
        yield from unguarded(child)


def test_no_module_imports_what_only_posix_systems_have_without_a_guard() -> None:
    for path in SOURCES:
        assert not POSIX & set(unguarded(tree(path))), path


def test_peak_memory_is_zero_without_its_system_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.peak_memory_mb(torch.device("cpu")) > 10
    monkeypatch.setattr(devices, "resource", None)
    assert devices.peak_memory_mb(torch.device("cpu")) == 0


# ---- encodings -------------------------------------------------------------------------------------------------------


def texts_without_encoding(path: Path) -> list[str]:
    """Calls that read or write text in whatever encoding the account happens to have."""
    found = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        named = {word.arg for word in node.keywords}
        mode = node.args[0 if owner else 1 :][:1]  # Path.open(mode), open(file, mode)
        opens = name == "open" and all(
            isinstance(word, ast.Constant | ast.IfExp) and "b'" not in ast.unparse(word) for word in mode
        )
        opens |= bool(owner) and name in ("read_text", "write_text")  # the function is trajectories/atomic.py's
        if (opens or (owner == "subprocess" and "text" in named)) and "encoding" not in named:
            found.append(ast.unparse(node))
    return found


def test_text_is_read_and_written_in_an_encoding_that_is_named() -> None:
    assert {str(path): found for path in SOURCES if (found := texts_without_encoding(path))} == {}


def test_every_command_prints_on_terminals_of_any_encoding() -> None:
    for path in SOURCES:
        parts = {ast.unparse(node) for node in tree(path).body if isinstance(node, ast.If | ast.FunctionDef)}
        if any("__main__" in part for part in parts if part.startswith("if ")):
            started = [part for part in parts if "__main__" in part or part.startswith("def console(")]
            assert any("exit_on_user_error(" in part or "print_any_text()" in part for part in started), path


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_run_ends_well_where_the_terminal_has_no_signs_for_its_table(encoding: str, tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "experiments" / "run.py"), *RUN, "--episodes", "1"]
    machine = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*words, "--results-dir", str(tmp_path)], env=machine, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.decode(encoding)
    assert "+---" in printed
    assert ("+-" if encoding == "ascii" else "±") in printed
    assert "record" in printed


def test_signs_that_a_terminal_lacks_are_shown_by_similar_ones() -> None:
    assert "".join(map(similar_character, "┏━┃┼█▏±—é\udce9")) == "+-|+##+--??"


# ---- accounts --------------------------------------------------------------------------------------------------------


def test_an_account_without_a_home_is_sent_to_the_data_dir_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOME", "XDG_CACHE_HOME", disk.VARIABLE, minari_folders.VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pytest.importorskip("pwd"), "getpwuid", Mock(side_effect=KeyError("uid not found: 12345")))
    with pytest.raises(UserError, match=r"no home folder: name a cache with --data-dir or \$TRAJECTORIES_DIR"):
        disk.data_folder()
    with pytest.raises(UserError, match=r"no home folder: set \$MINARI_DATASETS_PATH"):
        minari_folders.root()
    assert minari_folders.local() == []
    assert disk.data_folder(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert disk.data_folder() == tmp_path / "trajectories"


def as_another_user(*words: str) -> list[str]:
    """A command of an account that may read everything and write nothing, not even as root."""
    if os.name == "posix" and os.geteuid() != 0:
        return list(words)
    if not shutil.which("setpriv"):
        pytest.skip("root may write everything, and there is no setpriv to become another user")
    account = ("--reuid=12345", "--regid=12345", "--clear-groups")
    reads = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ["setpriv", *account, *reads, *words]


def locked(folder: Path) -> None:
    """Remove the permission to write below it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_cache_that_may_only_be_read_is_enough_where_it_has_the_data(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    load(Request("toy-medium", "collected", steps=200, data_dir=cache))
    code = (
        "import sys; from sources.loading import Request, load; from pathlib import Path\n"
        "from training.cli import exit_on_user_error\n"
        "with exit_on_user_error():\n"
        "    for steps in (200, 100):\n"
        "        print(len(load(Request('toy-medium', 'collected', steps=steps, data_dir=Path(sys.argv[1])))))"
    )
    locked(cache)
    command = as_another_user(sys.executable, "-c", code, str(cache))
    machine = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run(command, cwd=ROOT, env=machine, capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == "200\n"
    assert "collected cannot be written (Permission denied): choose another folder with --data-dir" in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


# ---- devices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cud", "choose auto, cpu, cuda"),
        ("meta", "choose auto, cpu, cuda"),
        ("cuda", "without CUDA|finds no GPU"),
        ("cuda:1", "without CUDA|finds no GPU"),
        ("mps", "no GPU of Apple's"),
        ("cpu:1", "there is 1, counted from 0"),
    ],
)
def test_a_device_that_is_not_here_is_one_sentence(name: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=rf"^--device is .*({reason})"):
        find_device(name)


def test_a_gpu_beyond_the_last_one_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="cuda:2, but there are 2, counted from 0"):
        find_device("cuda:2")


@pytest.mark.parametrize("file", ["training/run.py", "training/watch.py", "experiments/prompts.py"])
def test_every_command_with_a_device_looks_for_it_first(file: str) -> None:
    assert "find_device(" in (ROOT / file).read_text(encoding="utf-8")


# ---- grids and Ray ---------------------------------------------------------------------------------------------------


def test_a_machine_of_the_cluster_that_cannot_start_a_job_is_a_failed_run(tmp_path: Path) -> None:
    class RayError(Exception):
        pass

    ray = SimpleNamespace(
        exceptions=SimpleNamespace(RayError=RayError), get=Mock(side_effect=RayError("No module named 'torch'"))
    )
    job = jobs.Job(Planned("bc", "toy-medium", 0, (), parse(["--model", "bc"])), (), tmp_path / "log", 1)
    assert jobs.exit_code(ray, object(), job) == 1
    assert jobs.Ended(job, 1).why == "No module named 'torch'"


# ---- git -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one file of code."""
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    (tmp_path / "gato").mkdir()
    (tmp_path / "gato" / "model.py").write_text("x = 1\n", encoding="utf-8")
    who = ("-c", "user.name=A", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "One")):
        provenance.git(*words)
    return tmp_path


def test_files_that_are_no_code_do_not_make_a_record_dirty(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("Mine.", encoding="utf-8")
    (checkout / "results").mkdir()
    (checkout / "results" / "mine.md").write_text("Mine.", encoding="utf-8")
    head, dirty = provenance.commit()
    assert len(head) == 40
    assert not dirty


@pytest.mark.parametrize("name", ["model.py", "new.py"])
def test_code_that_is_changed_or_unknown_to_git_makes_a_record_dirty(name: str, checkout: Path) -> None:
    (checkout / "gato" / name).write_text("x = 2\n", encoding="utf-8")
    assert provenance.commit()[1]


def test_code_installed_below_another_repository_has_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "ROOT", checkout / "gato")
    assert provenance.commit() == ("unknown", True)


def test_what_makes_a_record_dirty_are_the_rooms_of_the_code() -> None:
    assert [room for room in provenance.CODE if not (ROOT / room / "__init__.py").exists()] == []
