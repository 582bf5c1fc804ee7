"""Servers that lie, break off and never end: nothing but the file that was meant may appear."""

import hashlib
import io
import shutil
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from campaign.tally import Tally
from sources.fetch import FetchError, Limits, Published, fetch
from trajectories.formats.whole import check_hdf5

LIMITS = Limits(answer=2.0, read=1.0, attempts=2)


def content(seed: int) -> bytes:
    """An HDF5 file of a megabyte."""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file["x"] = np.random.default_rng(seed).normal(size=1 << 17)
    return made.getvalue()


BODY, OTHER = content(0), content(1)
HALF = len(BODY) // 2
Send = Callable[[bytes], None]


def ok(length: object = len(BODY), more: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}\r\n".encode("latin1")


def silent(send: Send, turn: int) -> None:
    time.sleep(3)


def stalls(send: Send, turn: int) -> None:
    send(ok() + BODY[:HALF])
    time.sleep(3)


def drips(send: Send, turn: int) -> None:
    send(ok())
    for _ in range(20):
        send(b"x")
        time.sleep(0.2)


def exchanged(send: Send, turn: int) -> None:
    """Half of one file, then the other one's rest to a client that resumes."""
    send(ok() + BODY[:HALF] if turn < 3 else ok(HALF, f"Content-Range: bytes {HALF}-\r\n", "206 P") + OTHER[HALF:])


def answers(*parts: bytes) -> Callable[[Send, int], None]:
    return lambda send, turn: send(b"".join(parts))


BEHAVIOR: dict[str, Callable[[Send, int], None]] = {
    "says nothing": silent,
    "stalls after half": stalls,
    "drips": drips,
    "exchanges the file": exchanged,
    "breaks off at half": answers(ok() + BODY[:HALF]),
    "breaks off at half without a length": answers(b"HTTP/1.1 200 OK\r\n\r\n" + BODY[:HALF]),
    "a login page": answers(ok(19) + b"<html>log in</html>"),
    "another file": answers(ok() + OTHER),
    **{f"length {each:.5}": answers(ok(each) + BODY) for each in ("abc", "-5", "1" + "0" * 30, "9" * 5000)},
    "a length that is too short": answers(ok(len(BODY) - 9) + BODY),
    "two lengths": answers(ok(3, f"Content-Length: {len(BODY)}\r\n") + BODY),
    **{f"tag {each!r}": answers(ok(more=f"ETag: {each}\r\n") + BODY[:HALF]) for each in ('"ü"', '"\x00"', '"a"\r\n b')},
    "no HTTP": answers(b"SSH-2.0-OpenSSH\r\n"),
    "an endless header": answers(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\n"),
    "a thousand headers": answers(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1000 + b"\r\n"),
    **{
        f"goes on to {each}": answers(ok(0, f"Location: {each}\r\n", "302 F"))
        for each in ("/x", "file:///etc/passwd", "ftp://127.0.0.1:1/x", "http://[::1", "http://127.0.0.1:1/a b\x01")
    },
    **{status: answers(ok(0, "", status)) for status in ("404 No", "500 Oops")},
    "chunks that break off": answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nFFFF\r\na"),
    "chunks of nonsense": answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabcde\r\n"),
    "a part from elsewhere": answers(ok(3, "Content-Range: bytes 77-79/100\r\n", "206 P") + b"xxx"),
}


def lie(scratch: Path) -> Tally:
    """Fetch from each server, once with a published sha256 and once without."""
    tally = Tally("lying servers")
    for title, behave in BEHAVIOR.items():
        for sha256 in (hashlib.sha256(BODY).hexdigest(), None):
            if sha256 is None and title == "another file":  # a whole file, of which nothing is published
                continue
            failure = _fetched(behave, Published(sha256, check=check_hdf5), scratch / "fetched")
            tally.count(failure and f"{title}: {failure}")
    return tally


def _fetched(behave: Callable[[Send, int], None], known: Published, folder: Path) -> str | None:
    turns: list[int] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            turns.append(1)
            try:
                self.request.recv(4096)
                behave(self.request.sendall, len(turns))
            except OSError:  # the asker has hung up
                return

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            fetch([f"http://127.0.0.1:{server.server_address[1]}/a.hdf5"], folder / "a.hdf5", known, LIMITS)
        except FetchError:
            left = [path.name for path in folder.iterdir() if path.suffix not in (".part", ".tag")]
            return f"it leaves {left}" if left else None
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:120]
        finally:
            server.shutdown()
    return None if (folder / "a.hdf5").read_bytes() == BODY else "another file was taken for it"
