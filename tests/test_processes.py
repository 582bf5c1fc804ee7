"""Work divided among processes: its order, and how many there are."""

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import closing
from itertools import islice
from multiprocessing import connection

import pytest

from sources.processes import in_order, processors
from training.provenance import PROJECT
from trajectories.errors import UserError

ORPHANS = """
from sources.processes import in_order
found = in_order(range, 2)
next(found)
import multiprocessing
print(*[child.pid for child in multiprocessing.active_children()], flush=True)
input()
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_answers_come_in_the_order_of_their_numbers(processes: int) -> None:
    with closing(in_order(range, processes)) as found:
        assert list(islice(found, 6)) == [0, 0, 1, 0, 1, 2]  # range(0), range(1), range(2), range(3)


def test_only_the_processors_that_may_be_used_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert processors() == 1


def ended(number: int) -> list[int]:
    os._exit(3)


def test_a_process_that_was_ended_is_reported_in_a_sentence() -> None:
    with pytest.raises(UserError, match="ended from outside"):
        next(in_order(ended, 2))


def first(answer: connection.Connection) -> None:
    with closing(in_order(range, 2)) as found:
        answer.send(next(found))


def test_a_process_that_may_start_none_does_the_work_itself() -> None:
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=first, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    assert mine.recv() == 0
    process.join()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_helpers_do_not_outlive_who_started_them() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANS], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        helpers = [os.pidfd_open(int(word)) for word in parent.stdout.readline().split()]
        assert len(helpers) == 2
        parent.send_signal(signal.SIGKILL)
        assert len(connection.wait(helpers, timeout=30)) > 0
        for helper in helpers:
            assert connection.wait([helper], timeout=30) == [helper]
            os.close(helper)
