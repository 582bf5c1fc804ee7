"""How a command ends when it cannot go on: one sentence and an exit code, never a traceback for the user's mistake."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trajectories.errors import UserError
from trajectories.output import print_any_text

BROKEN_PIPE = 128 + 13  # a shell's exit code for SIGPIPE, which Windows does not have


@contextmanager
def exit_on_user_error(to_continue: str = "") -> Iterator[None]:
    """Exit 2 on bad input or a full disk, 130 on Ctrl-C; `to_continue` says how to go on after an interruption.

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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        sys.exit(_say(f"The disk is full{where}: free some room. {to_continue}".rstrip(), 2))
    except KeyboardInterrupt:
        sys.exit(_say(f"Interrupted. {to_continue or 'Nothing was recorded; the same command starts again.'}", 130))


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
