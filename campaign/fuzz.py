"""Damaged files against their readers: a value, or one sentence; within ten seconds and a gigabyte, and never a crash.

The readers run in a child that is forked for some files at once. Where it dies or hangs, the file that it was at is the
failure, and another child goes on behind it.
"""

import faulthandler
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from campaign.damage import damage
from campaign.tally import LONGEST, Tally
from campaign.whole_files import KINDS
from trajectories.errors import UserError

SECONDS, MEMORY = 10, 1 << 30
BATCH = 40


def fuzz(kind: str, count: int, seed: int, scratch: Path) -> Tally:
    """Read `count` damaged files of a kind."""
    make, read = KINDS[kind]
    tally = Tally(f"damaged files: {kind}")
    try:
        whole = Path(tempfile.mkdtemp(dir=scratch))
        make(whole)
        read(whole)
    except (ImportError, UserError) as error:
        tally.not_tried = str(error)
        return tally
    shutil.rmtree(whole / "cache", ignore_errors=True)
    for first in range(0, count, BATCH):
        folders = [
            _damaged(whole, scratch / f"{kind}-{number - first}", random.Random(f"{kind} {seed} {number}"))
            for number in range(first, min(first + BATCH, count))
        ]
        waiting = list(range(len(folders)))
        while waiting:
            for number, failure in _read_in_child(read, [(each, folders[each]) for each in waiting]):
                waiting.remove(number)
                tally.count(failure)
                if failure is not None:
                    kept = scratch / "failures" / f"{kind}-{seed}-{first + number}"
                    shutil.copytree(folders[number], kept, dirs_exist_ok=True)
        for folder in folders:
            shutil.rmtree(folder)
    return tally


def _damaged(whole: Path, folder: Path, rng: random.Random) -> Path:
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for file in rng.sample(files, min(len(files), rng.choice((1, 1, 2)))):
        try:
            damage(rng, file)
        except (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError):
            continue  # what one damage left, another cannot write
    return folder


def _read_in_child(read: Callable[[Path], None], items: list[tuple[int, Path]]) -> list[tuple[int, str | None]]:
    """(number, how it failed or None) of each file that the child came to."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiving)
        try:
            _child(read, items, sending)
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        lines = stream.read().decode(errors="replace").splitlines()
    _, status = os.waitpid(child, 0)
    done = [(int(line.partition(" ")[0]), line.partition(" ")[2] or None) for line in lines]
    if len(done) < len(items) and status:  # killed by a signal, of its own or of its alarm
        code = os.waitstatus_to_exitcode(status)
        why = (
            "takes more than ten seconds"
            if code in (-signal.SIGPROF, -signal.SIGALRM)
            else f"ends the process with {code}"
        )
        done.append((items[len(done)][0], why))
    return done


def _child(read: Callable[[Path], None], items: list[tuple[int, Path]], sending: int) -> None:
    faulthandler.disable()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())
    os.dup2(silent, sys.stderr.fileno())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    room = _reserved() + (6 << 30)  # what started this one may have reserved gigabytes that it does not use
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    for number, folder in items:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor: other programs may be busy
        signal.setitimer(signal.ITIMER_REAL, 6 * SECONDS)  # for what waits
        before = _peak()
        failure = _failure(read, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if failure is None and _peak() - before > MEMORY:
            failure = f"takes {(_peak() - before) / 1e9:.1f} GB"
        os.write(sending, f"{number} {failure or ''}\n".encode())


def _failure(read: Callable[[Path], None], folder: Path) -> str | None:
    try:
        read(folder)
    except UserError as error:
        sentence = str(error)
        return (
            None if sentence.isprintable() and len(sentence) <= LONGEST else f"a message of {len(sentence)} characters"
        )
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = (str(error).splitlines() or [""])[0][:80]
        return f"{type(error).__name__}: {what} ({Path(place.filename).name}:{place.lineno})"
    return None


def _reserved() -> int:
    """Bytes of this process's address space; 0 where the system does not say."""
    size = Path("/proc/self/statm")
    return int(size.read_text().split()[0]) * resource.getpagesize() if size.exists() else 0


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
