"""How a command ends when it cannot go on: one sentence and an exit code, never a traceback for the user's mistake."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trajectories.atomic import FORBIDDEN, FULL, OCCUPIED
from trajectories.errors import UserError
from trajectories.output import print_any_text

BROKEN_PIPE = 128 + 13  # a shell's exit code for SIGPIPE, which Windows does not have


@contextmanager
def exit_on_user_error(to_continue: str = "") -> Iterator[None]:
    """Exit 2 on bad input, a full disk or a forbidden file, 130 on Ctrl-C; `to_continue` says how to go on after it.

    A reader that has seen enough (`| head`) is no mistake: nothing is said, and the exit code is a shell's for it, 141.
    """
    print_any_text()
    try:
        try:
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
    except KeyboardInterrupt:
        sys.exit(_say(f"Interrupted. {to_continue or 'Nothing was recorded; the same command starts again.'}", 130))


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
