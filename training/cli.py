"""How a command ends when it cannot go on: one sentence and an exit code, never a traceback for the user's mistake."""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from training import interruption
from trajectories.atomic import FORBIDDEN, FULL, OCCUPIED
from trajectories.errors import UserError
from trajectories.output import print_any_text

NOTHING = "Nothing was recorded; the same command starts again."
HOME = re.compile(r"(?<![^=])~(?=/|$)")
BROKEN_PIPE = 128 + 13  # a shell's exit code for SIGPIPE, which Windows does not have


@contextmanager
def exit_on_user_error(to_continue: str = "") -> Iterator[None]:
    """Exit 2 on bad input, a full disk or a forbidden file, 130 on Ctrl-C, 143 on SIGTERM; each with one sentence.

    Args:
        to_continue: how to go on afterwards.

    A closed pipe (`| head`) is no error: nothing is printed, and the exit code is the shell's for it, 141.
    In the command line, ~ stands for the home folder behind a = too, where a shell leaves it as it is.
    """
    print_any_text()
    sys.argv[1:] = [HOME.sub(lambda match: os.path.expanduser(match[0]), word) for word in sys.argv[1:]]
    try:
        try:
            with _ended_by_signals():
                yield
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be caught, after --help too
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        sys.exit(BROKEN_PIPE)
    except UserError as error:
        sys.exit(_say(str(error), 2))
    except OSError as error:
        where = f" while writing {error.filename}" if error.filename else ""
        if error.errno in FULL:
            sys.exit(_say(f"The disk is full{where}: free some room. {to_continue}".rstrip(), 2))
        if error.errno in (*FORBIDDEN, *OCCUPIED) and error.filename:
            reason = f"{error.filename} cannot be read or written here ({error.strerror})"
            sys.exit(_say(f"{reason}: name another place, or change whose it is. {to_continue}".rstrip(), 2))
        raise
    except KeyboardInterrupt as error:
        sys.exit(_say(f"{' '.join(['Interrupted', *map(str, error.args)])}. {to_continue or NOTHING}", 130))
    except _TerminatedError as error:
        sys.exit(_say(f"{' '.join(['Ended by SIGTERM', *map(str, error.args)])}. {to_continue or NOTHING}", 143))


class _TerminatedError(BaseException):
    """SIGTERM as an exception that no handler of errors catches, so that every cleanup runs."""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the block as an exception; after it, SIGTERM is nothing new.

    What torchrun starts dies of SIGTERM at once, as it would otherwise wait for processes that are gone.
    """
    ending = [signal.SIGINT, *([signal.SIGTERM] if os.environ.get("WORLD_SIZE", "1") == "1" else [])]

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interruption.request(_TerminatedError() if number == signal.SIGTERM else KeyboardInterrupt())

    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        ending = []
    before = {number: signal.getsignal(number) for number in ending}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # below a shell's `&` SIGINT is ignored
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
