"""Work divided among processes: its order, and how many there are."""

import operator
import os
from contextlib import closing
from functools import partial
from itertools import islice

import pytest

from sources.processes import in_order, processors


@pytest.mark.parametrize("processes", [1, 2])
def test_answers_come_in_the_order_of_their_numbers(processes: int) -> None:
    with closing(in_order(partial(operator.mul, 3), processes)) as found:
        assert list(islice(found, 5)) == [0, 3, 6, 9, 12]


def test_only_the_processors_that_may_be_used_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert processors() == 1
