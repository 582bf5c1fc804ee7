"""Signals that end a run wait until an update is whole, so that what was learned until then can be kept."""

from collections.abc import Iterator
from contextlib import contextmanager


class _Ending:
    """What a signal has requested, and whether it has to wait."""

    waits = False
    error: BaseException | None = None


def request(error: BaseException) -> None:
    """What a signal's handler calls: raises the error, at once or where `end` is next called."""
    if not _Ending.waits:
        raise error
    _Ending.error = error


@contextmanager
def waiting(alone: bool = True) -> Iterator[None]:
    """A block that a signal does not interrupt.

    Args:
        alone: False in a team of processes, which would wait for each other: there a signal does.
    """
    _Ending.waits = alone
    try:
        yield
    finally:
        _Ending.waits = False


@contextmanager
def at_once() -> Iterator[None]:
    """A block within such a block that a signal does interrupt."""
    waits, _Ending.waits = _Ending.waits, False
    try:
        yield
    finally:
        _Ending.waits = waits


def requested() -> bool:
    """Whether a signal has come and waits."""
    return _Ending.error is not None


def end(where: str) -> None:
    """End, if a signal has requested it.

    Args:
        where: what is kept, for the sentence that is printed: "after update 449".
    """
    error, _Ending.error = _Ending.error, None
    if error is not None:
        raise type(error)(where)
