"""Downloads, from a server on this machine that misbehaves on demand."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sources.fetch import FetchError, Limits, Published, fetch
from trajectories.errors import UserError

CONTENT = bytes(range(256)) * 2000
KNOWN = Published(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
QUICK = Limits(answer=2.0, read=2.0, attempts=2)


class Server(ThreadingHTTPServer):
    """What it delivers, in what state, and which ranges were requested."""

    daemon_threads = True
    content = CONTENT
    etag = '"1"'
    breaks_after: int | None = None  # bytes of the next download
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.hdf5"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        ranges = self.headers.get("Range")
        server.ranges.append(ranges)
        if server.status != 200:
            self.send_error(server.status)
            return
        resumes = ranges is not None and self.headers.get("If-Range", server.etag) == server.etag
        first = int(ranges.removeprefix("bytes=").removesuffix("-")) if ranges and resumes else 0
        self.send_response(206 if resumes else 200)
        if resumes:
            self.send_header("Content-Range", f"bytes {first}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(server.content) - first))
        self.send_header("ETag", server.etag)
        self.end_headers()
        end = len(server.content)
        if server.breaks_after is not None and len(server.ranges) > 1:  # the first one only tests for an answer
            end, server.breaks_after = first + server.breaks_after, None
        try:
            self.wfile.write(server.content[first:end])
        except OSError:  # the asker has hung up
            return

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/file.hdf5"


def closed() -> str:
    """An address without a server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}/file.hdf5"


def test_a_file_arrives_whole_and_leaves_no_parts(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "d4rl" / "file.hdf5"
    assert fetch([server.url], target, KNOWN, QUICK) == target
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_a_download_that_breaks_off_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 100_000
    target = tmp_path / "file.hdf5"
    fetch([server.url], target, KNOWN, QUICK)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, None, "bytes=100000-"]


def test_a_later_run_resumes_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 100_000
    target = tmp_path / "file.hdf5"
    once = Limits(answer=2.0, read=2.0, attempts=1)
    with pytest.raises(FetchError, match="broke off"):
        fetch([server.url], target, limits=once)
    assert not target.exists()
    fetch([server.url], target, limits=once)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=100000-"


def test_a_file_that_changed_on_the_server_is_begun_again(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 100_000
    once = Limits(answer=2.0, read=2.0, attempts=1)
    with pytest.raises(FetchError):
        fetch([server.url], tmp_path / "file.hdf5", limits=once)
    server.content, server.etag = CONTENT[::-1], '"2"'
    fetch([server.url], tmp_path / "file.hdf5", limits=once)
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT[::-1]


def test_a_file_of_another_hash_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="delivers another file"):
        fetch([server.url], tmp_path / "file.hdf5", Published("0" * 64), QUICK)
    assert not list(tmp_path.iterdir())


def test_a_server_that_never_answers_is_given_up_in_time(silent: str, tmp_path: Path) -> None:
    limits = Limits(answer=0.3, read=0.3, attempts=1)
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"no answer within 0\.3 s|timed out"):
        fetch([silent, silent], tmp_path / "file.hdf5", limits=limits)
    assert time.monotonic() - began < 10  # a bound on hanging, not a measurement
    assert not list(tmp_path.iterdir())


def test_the_default_limits_decide_within_fifteen_seconds() -> None:
    assert Limits().answer < 15


def test_the_next_mirror_serves_where_one_is_down(server: Server, silent: str, tmp_path: Path) -> None:
    fetch([closed(), silent, server.url], tmp_path / "file.hdf5", KNOWN, QUICK)
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


def test_the_next_mirror_serves_where_one_delivers_something_else(server: Server, tmp_path: Path) -> None:
    with Server() as wrong:
        wrong.content = b"<html>moved</html>"
        threading.Thread(target=wrong.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        fetch([wrong.url, server.url], tmp_path / "file.hdf5", KNOWN, QUICK)
        wrong.shutdown()
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


def test_a_missing_file_is_reported_with_its_mirror_and_the_next_step(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(FetchError, match=r"file\.hdf5 cannot be fetched \(127.0.0.1:\d+: .*\): .*--path"):
        fetch([server.url], tmp_path / "file.hdf5", limits=QUICK)


def test_a_full_disk_is_reported_with_the_size_that_is_needed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trajectories.atomic.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(UserError, match=r"is full: free 1 MB there") as caught:
        fetch([server.url], tmp_path / "file.hdf5", limits=QUICK)
    assert not isinstance(caught.value, FetchError)
