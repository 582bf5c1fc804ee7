"""What is written is whole or not there: after an error, a kill, a power cut, and beside another process."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import Timeout

from training import run_lock
from training.run_lock import hold_run
from trajectories import atomic
from trajectories.atomic import (
    acquire,
    atomic_directory,
    atomic_file,
    disk_errors,
    file_lock,
    leftovers,
    make_folder,
    make_once,
    write_text,
)
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every flush to the disk and every rename, in their order; a name that will be another is called fresh."""
    made: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def called(path: Path) -> str:
        return "fresh" if path.name.endswith(".tmp") else path.name

    def flush(descriptor: int) -> None:
        made.append(f"flush {called(Path(os.readlink(f'/proc/self/fd/{descriptor}')))}")
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        made.append(f"rename {called(path)} {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", renamed)
    return made


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, calls: list[str]) -> None:
    write_text(tmp_path / "record.json", "{}")
    assert calls == ["flush fresh", "rename fresh record.json", f"flush {tmp_path.name}"]


def test_so_is_everything_in_a_folder(tmp_path: Path, calls: list[str]) -> None:
    with atomic_directory(tmp_path / "columns") as fresh:
        (fresh / "a.npy").write_text("1")
        (fresh / "data").mkdir()
        (fresh / "data" / "b.npy").write_text("2")
    assert sorted(calls[:4]) == ["flush a.npy", "flush b.npy", "flush data", "flush fresh"]
    assert calls[4:] == ["rename fresh columns", f"flush {tmp_path.name}"]
    assert (tmp_path / "columns" / "data" / "b.npy").read_text() == "2"


def test_so_are_the_folders_that_were_made_for_it(tmp_path: Path, calls: list[str]) -> None:
    make_folder(tmp_path / "runs" / "one")
    assert calls == [f"flush {tmp_path.name}", "flush runs"]


@pytest.mark.parametrize("write", [atomic_file, atomic_directory])
def test_after_an_error_the_old_one_is_there_and_nothing_else(write: Callable, tmp_path: Path) -> None:
    write_text(tmp_path / "old", "as it was")

    def break_off() -> None:
        with write(tmp_path / "old") as fresh:
            (fresh / "half" if fresh.is_dir() else fresh).write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "as it was"


def test_a_disk_that_is_full_only_at_the_flush_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="is full"), disk_errors(tmp_path):
        write_text(tmp_path / "a", "1")
    assert names(tmp_path) == []


def test_a_file_system_that_cannot_flush_folders_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", unsupported)
    write_text(tmp_path / "a", "1")
    assert names(tmp_path) == ["a"]


def test_a_second_process_waits_for_the_first_and_finds_what_it_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held, made, present = threading.Event(), threading.Event(), []

    def second() -> None:
        held.wait()
        with file_lock(tmp_path / "data"):
            present.append((tmp_path / "data").exists())

    waiting = threading.Thread(target=second)
    waiting.start()
    with file_lock(tmp_path / "data"):
        held.set()
        while "Waiting" not in capsys.readouterr().out:
            made.wait(0.01)
        write_text(tmp_path / "data", "1")
    waiting.join()
    assert present == [True]
    assert names(tmp_path) == ["data"]  # the lock's file goes with the lock


def test_what_is_there_already_is_neither_locked_nor_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make() -> None:
        made.append("data")
        write_text(tmp_path / "data", "1")

    assert make_once(tmp_path / "data", make) == tmp_path / "data"
    monkeypatch.setattr(atomic, "file_lock", None)  # a folder that may only be read
    assert make_once(tmp_path / "data", make) == tmp_path / "data"
    assert made == ["data"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_has_them_as_files(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", unsupported)
    with file_lock(tmp_path / "data"), pytest.raises(Timeout):
        acquire(tmp_path / ".data.lock", timeout=0.0)
    with file_lock(tmp_path / "data"):
        write_text(tmp_path / "data", "1")
    assert names(tmp_path) == ["data"]


def test_a_lock_file_that_a_dead_process_left_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import errno, fcntl, os, sys; from pathlib import Path; from trajectories.atomic import *\n"
        "def unsupported(*_): raise OSError(errno.ENOLCK, 'no locks')\n"
        "fcntl.flock = unsupported\n"
        "with file_lock(Path(sys.argv[1])): sys.argv[2:] or os._exit(9)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert names(tmp_path) != []
    assert subprocess.run([*command, "end well"], cwd=ROOT, check=False, timeout=60).returncode == 0
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["a file", "a file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_one_sentence(place: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot be written .*--data-dir or \$TRAJECTORIES_DIR"),
        file_lock(tmp_path / place / "data"),
    ):
        pass
    with (
        pytest.raises(UserError, match=r"cannot be written .*: choose another folder with --results-dir"),
        hold_run(tmp_path / place / "run", {}),
    ):
        pass


def test_what_a_killed_process_was_writing_goes_with_the_next_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from trajectories.atomic import *\n"
        "target = Path(sys.argv[1])\n"
        "with file_lock(target), atomic_file(target) as one, atomic_directory(target) as two:\n"
        "    one.write_text('half'); (two / 'a').write_text('half'); os._exit(9)"
    )
    target = tmp_path / "hopper.hdf5"
    subprocess.run([sys.executable, "-c", code, str(target)], cwd=ROOT, check=False)
    write_text(tmp_path / "hopper.hdf5.tag", "another file")
    assert len(leftovers(target)) == 2
    with file_lock(target):
        assert leftovers(target) == []
    assert names(tmp_path) == ["hopper.hdf5.tag"]


def test_files_that_a_killed_checkpoint_made_beside_go_with_the_next_start(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; import torch; from training import checkpoint\n"
        "def save(tensors, path, metadata):\n"  # as safetensors writes: beside, and then renamed
        "    Path(path).with_name('.tmp3mmJFQ').write_text('half'); os._exit(9)\n"
        "checkpoint.save_file = save\n"
        "checkpoint.write_tensors(Path(sys.argv[1]) / 'state.safetensors', {'a': torch.zeros(3)})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert names(tmp_path) != []
    with hold_run(tmp_path, {}):
        pass
    assert not tmp_path.exists() or names(tmp_path) == []


def test_what_a_finished_run_removes_stays_removed_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[list[str]] = []
    monkeypatch.setattr(run_lock, "sync", lambda folder: flushed.append([path.name for path in folder.iterdir()]))
    with run_lock.hold_run(tmp_path / "run", {}):
        for name in (run_lock.STATE, run_lock.PLAYED, "record.json"):
            (tmp_path / "run" / name).write_text("x")
    assert flushed == [["record.json"]]
