"""How commands end: one sentence and an exit code for what the user can correct, silently for a closed pipe."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from training import checkpoint
from training.cli import exit_on_user_error
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def ended(error: BaseException, capsys: pytest.CaptureFixture[str], to_continue: str = "") -> tuple[int, str]:
    """Exit code and message of a command that raised `error`."""
    with pytest.raises(SystemExit) as exit, exit_on_user_error(to_continue):
        raise error
    message = capsys.readouterr()
    assert message.out == ""
    return exit.value.code, message.err


def test_bad_input_is_one_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(UserError("x is 3: give 4."), capsys) == (2, "x is 3: give 4.\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported_with_the_file_and_how_to_continue(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = ended(OSError(number, "full", "/there/state"), capsys, "Run the same command again.")
    assert (code, message) == (
        2,
        "The disk is full while writing /there/state: free some room. Run the same command again.\n",
    )


def test_ctrl_c_says_how_to_continue_and_exits_130(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = ended(KeyboardInterrupt(), capsys, "Run the same command again to continue dt-toy.")
    assert (code, message) == (130, "Interrupted. Run the same command again to continue dt-toy.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_with_one_sentence(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as exit, exit_on_user_error("Run it again to continue."):
        os.kill(os.getpid(), number)
    message = "Interrupted." if number == signal.SIGINT else "Ended by SIGTERM."
    assert exit.value.code == 128 + number
    assert capsys.readouterr().err == f"{message} Run it again to continue.\n"
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOTDIR])
def test_a_file_that_this_account_may_not_use_is_named(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = ended(OSError(number, "forbidden", "/there/file"), capsys)
    assert code == 2
    assert message.startswith("/there/file cannot be read or written here (forbidden): name another place")
    assert message.count("\n") == 1


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "forbidden"), ValueError("a mistake of ours")])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)), exit_on_user_error():
        raise error


def test_a_full_disk_under_a_checkpoint_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:  # as safetensors 0.8.0 says it, on a file system of one megabyte
        Path(str(arguments[1])).write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="state") as caught:
        checkpoint.write_tensors(tmp_path / "state.safetensors", {"a": torch.zeros(1)})
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["print('y' * 100000)", "sys.exit(0)"])
def test_a_closed_pipe_is_no_error(ending: str) -> None:
    code = (
        f"import sys\nfrom training.cli import exit_on_user_error\nwith exit_on_user_error():\n  print(1)\n  {ending}\n"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    assert command.stderr.read() == ""
    assert command.wait() == 141
    command.stderr.close()
