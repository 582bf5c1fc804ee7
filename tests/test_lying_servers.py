"""Servers that lie about a file, or about what they are: nothing but the file that was meant appears in the cache."""

import gzip
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sources import dqn_replay_download, locate
from sources import fetch as fetching
from sources.fetch import FetchError, Limits, Published, fetch
from sources.recording import Recording
from sources.request import Request
from trajectories.catalog import dataset, dataset_names
from trajectories.formats.whole import check_gzip, check_hdf5, is_whole

QUICK = Limits(answer=2.0, read=2.0, attempts=2)


def hdf5(seed: int = 0, libver: str = "earliest") -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w", libver=libver) as file:
        file["x"] = np.random.default_rng(seed).normal(size=12_500)
    return content.getvalue()


def zipped() -> bytes:
    content = io.BytesIO()
    np.save(content, np.arange(1000))
    return gzip.compress(content.getvalue())


CONTENT = hdf5()
WHOLE = Published(check=check_hdf5)
Answer = Callable[[BaseHTTPRequestHandler, int], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """The address of a server that gives `answer`, which gets the number of the request."""

    class Handler(BaseHTTPRequestHandler):
        count = 0

        def do_GET(self) -> None:
            Handler.count += 1
            answer(self, Handler.count)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/file.hdf5"
        server.shutdown()


def send(handler: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str], status: int = 200) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    try:
        handler.wfile.write(body)
    except OSError:  # the asker has hung up
        handler.close_connection = True


def length(value: object) -> dict[str, str]:
    return {"Content-Length": str(value)}


def says(body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> Answer:
    return lambda handler, count: send(handler, body, length(len(body)) if headers is None else headers, status)


LIES: dict[str, tuple[Answer, str]] = {
    "a login page": (says(b"\n <!DOCTYPE html><html>log in</html>"), "delivers a web page"),
    "half a file, without a length": (says(CONTENT[:50_000], {}), "cut off or another kind"),
    "another kind of file": (says(b"PK" * 1000), "cut off or another kind"),
    "a length that is too short": (says(CONTENT, length(len(CONTENT) - 10)), "cut off or another kind"),
    "a length that is no number": (says(CONTENT, length("abc")), "declares abc bytes"),
    "a negative length": (says(CONTENT, length(-5)), "declares -5 bytes"),
    "a length of 10 ** 30": (says(CONTENT, length(10**30)), "declares 1000"),
    "a length of 5000 digits": (says(CONTENT, length("9" * 5000)), "declares 9999"),
    "a redirection to ftp": (says(b"", {"Location": "ftp://127.0.0.1:1/x"}, 302), "unknown url type: ftp"),
    "a redirection to a file": (says(b"", {"Location": "file:///etc/passwd"}, 302), "not allowed"),
    "a part of another file": (
        says(CONTENT, {"Content-Range": "bytes 0-9/10", **length(len(CONTENT))}, 206),
        "resumes elsewhere than requested, 2 times",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_file_leaves_nothing_and_has_its_own_reason(lie: str, tmp_path: Path) -> None:
    answer, sentence = LIES[lie]
    with serving(answer) as url, pytest.raises(FetchError, match=sentence) as caught:
        fetch([url], tmp_path / "file.hdf5", WHOLE, QUICK)
    assert len(str(caught.value)) <= 500
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_size_than_published_is_not_even_downloaded(tmp_path: Path) -> None:
    with serving(says(CONTENT)) as url, pytest.raises(FetchError, match=r"offers another file, of 10\d,\d+ bytes"):
        fetch([url], tmp_path / "file.hdf5", Published(size=77), QUICK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tag", [{}, {"ETag": 'W/"weak"'}, {"ETag": '"\x01"'}, {"Last-Modified": "yesterday"}])
def test_without_a_tag_a_download_begins_again_and_joins_no_two_files(tag: dict[str, str], tmp_path: Path) -> None:
    other = hdf5(1)
    requests = []

    def exchanged(handler: BaseHTTPRequestHandler, count: int) -> None:
        requests.append(handler.headers.get("Range"))
        body = CONTENT[:60_000] if count <= 2 else other  # the first one only tests for an answer
        send(handler, body, {**length(len(CONTENT)), **tag})

    with serving(exchanged) as url:
        fetch([url], tmp_path / "file.hdf5", WHOLE, QUICK)
    assert (tmp_path / "file.hdf5").read_bytes() == other
    assert requests == [None, None, None]
    assert [path.name for path in tmp_path.iterdir()] == ["file.hdf5"]


def test_a_part_with_another_tag_is_not_resumed(tmp_path: Path) -> None:
    def exchanged(handler: BaseHTTPRequestHandler, count: int) -> None:
        if handler.headers.get("Range"):  # against the rules: the requested tag is another one's
            rest = {"Content-Range": f"bytes 60000-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"2"'}
            send(handler, hdf5(1)[60_000:], {**length(len(CONTENT) - 60_000), **rest}, 206)
        else:
            send(handler, CONTENT[:60_000] if count <= 2 else CONTENT, {**length(len(CONTENT)), "ETag": '"1"'})

    with serving(exchanged) as url:
        fetch([url], tmp_path / "file.hdf5", WHOLE, Limits(answer=2.0, read=2.0, attempts=3))
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


class Dripping:
    """A response that gives one byte a read, each after a minute."""

    status = 200

    def __init__(self, clock: list[float]) -> None:
        self.clock, self.headers = clock, HTTPMessage()
        self.headers["Content-Length"] = "100000"

    def __enter__(self) -> "Dripping":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def read1(self, size: int) -> bytes:
        self.clock[0] += 60
        return b"x"


def test_a_server_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(fetching.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(fetching, "_open", lambda url, headers, seconds: Dripping(clock))
    with pytest.raises(FetchError, match="less than 16,384 bytes in 2 s, 2 times"):
        fetch(["http://drips/file.hdf5"], tmp_path / "file.hdf5", WHOLE, QUICK)


def test_encrypted_mirrors_come_first_however_late_they_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_answered = threading.Event()

    class Answered:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *error: object) -> None:
            pass

    def answers(url: str, headers: object, seconds: float) -> Answered:
        if url.startswith("https"):
            plain_answered.wait(5)
        else:
            plain_answered.set()
        return Answered()

    monkeypatch.setattr(fetching, "_open", answers)
    assert fetching._by_answer(["http://a/x", "https://b/x"], 5.0, []) == ["https://b/x", "http://a/x"]


def test_an_encrypted_address_is_never_left_for_an_open_one() -> None:
    handler = fetching._NoWayBack()
    requests = fetching.request.Request("https://a/x")
    with pytest.raises(OSError, match="not encrypted"):
        handler.redirect_request(requests, None, 302, "", {}, "http://a/y")
    assert handler.redirect_request(requests, None, 302, "", {}, "https://b/y").full_url == "https://b/y"


def test_what_is_published_of_d4rls_files_is_known_for_most_of_them() -> None:
    known = [dataset(name).size_and_sha256 for name in dataset_names() if dataset(name).urls]
    assert sum(sha256 is not None for _, sha256 in known) == 97
    size, sha256 = dataset("hopper-medium").size_and_sha256
    assert (size, (sha256 or "")[:12]) == (152_756_557, "5bdf1bc4a713")
    assert dataset("maze2d-umaze").size_and_sha256 == (None, None)
    assert all(len(sha256) == 64 for _, sha256 in known if sha256)


# ---- what is in the cache already -----------------------------------------------------------------------------------


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_the_end_of_a_file_is_looked_for(tmp_path: Path, libver: str) -> None:
    for name, content, check in (
        ("a.hdf5", hdf5(libver=libver), check_hdf5),
        ("a.gz", zipped(), check_gzip),
    ):
        path = tmp_path / name
        assert not is_whole(path, check)
        path.write_bytes(content)
        assert is_whole(path, check)
        for damaged in (content[:-1], content[: len(content) // 2], content[:6], b"", b"<html>" * 50):
            path.write_bytes(damaged)
            assert not is_whole(path, check)


def test_a_damaged_file_in_the_cache_is_fetched_again(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_cache / "d4rl").mkdir()
    file = own_cache / "d4rl" / "hopper_random-v2.hdf5"
    requests: list[Any] = []

    def offline(urls: object, destination: Path, known: Published) -> Path:
        requests.append((destination, known))
        raise FetchError(destination.name, "no route")

    collected = Recording(dataset("hopper-random"), "collected", file)
    monkeypatch.setattr(locate, "fetch", offline)
    monkeypatch.setattr(locate, "_collected", lambda request, row: collected)
    for content in (b"<html>log in</html>", hdf5()[:5000]):
        file.write_bytes(content)
        assert locate.locate(Request("hopper-random"), dataset("hopper-random")) is collected
    size, sha256 = dataset("hopper-random").size_and_sha256
    assert [(path, known.size, known.sha256) for path, known in requests] == [(file, size, sha256)] * 2


def test_half_a_shard_of_dqn_replay_is_not_taken_for_one(tmp_path: Path) -> None:
    row = dataset("breakout")
    folder = dqn_replay_download.folder(tmp_path, row)
    folder.mkdir(parents=True)
    for name in dqn_replay_download.shards(1):
        (folder / name).write_bytes(zipped())
    assert dqn_replay_download.is_here(tmp_path, row, 1)
    (folder / name).write_bytes(zipped()[:-100])
    assert not dqn_replay_download.is_here(tmp_path, row, 1)
