"""Download a file once: from whichever mirror answers, with progress, resumed where it broke off, checked, renamed.

A server may be slow, down, behind a name that never resolves, or another one than was meant. So all mirrors are tried
at once, each in a thread of its own, and after a few seconds with no answer there is no network: nothing waits for
longer than its limits. A server's headers are trusted only where that costs nothing, and a file appears under
its name only after its size and sha256, or where none are published its first and last bytes, were found right.
"""

import hashlib
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from trajectories.atomic import disk_errors, replace
from trajectories.errors import DatasetError, one_line
from trajectories.progress import progress

PART = re.compile(r"(?P<name>.+)\.[0-9a-f]{8}\.(part|tag)")  # of a file, from one mirror, and the state it is of
BLOCK = 1 << 18  # bytes
LARGEST = 1 << 34  # bytes of a file at most; D4RL's largest has 0.75 GB, a checkpoint of DQN-replay's frames less
TAG = re.compile(r'"[!#-~]*"|\w{3}, [\w :]{22} GMT')  # a strong ETag, or the date of the last change


class FetchError(DatasetError):
    """A file cannot be had from any of its addresses; `reasons` holds one for each mirror."""

    def __init__(self, name: str, reasons: str) -> None:
        super().__init__(f"{name} cannot be fetched ({reasons}): try again later, or name your own copy with --path.")
        self.reasons = reasons


class _MirrorError(Exception):
    """One mirror does not deliver, and will not at another attempt."""


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds, and how often to try."""

    answer: float = 8.0  # until the first mirror answers; they are tried at once
    read: float = 20.0  # until a connection is made, or the next bytes come
    least: int = 1 << 14  # bytes that must come within that time
    attempts: int = 3  # at each mirror; every one resumes where the last broke off


@dataclass(frozen=True)
class Published:
    """What is known of a file before it is fetched."""

    sha256: str | None = None
    size: int | None = None  # bytes
    check: Callable[[Path], None] = lambda path: None  # raises DatasetError where a file is cut off or something else


def fetch(urls: Sequence[str], destination: Path, known: Published | None = None, limits: Limits | None = None) -> Path:
    """Download `destination` from the first of `urls` that delivers it; a whole file appears there, or none.

    Args:
        urls: mirrors of one file. Those that encrypt are tried first, and of them the quickest to answer.
        known: what the file must be.

    Raises:
        FetchError: no mirror answers in time, or each breaks off, or delivers something else.
        UserError: the disk is full.
    """
    known, limits = known or Published(), limits or Limits()
    reasons: list[str] = []
    for url in _by_answer(urls, limits.answer, reasons):
        # A part belongs to its mirror: bytes of two servers are never mixed.
        part = destination.with_name(f"{destination.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
        try:
            _download(url, part, limits, destination.name, known.size)
            _check(part, known)
        except BaseException as error:
            if not _tag(part):  # a later attempt could not check that it is the same file
                _remove(part)
            if not isinstance(error, _MirrorError):
                raise
            reasons.append(f"{_host(url)}: {error}")
            continue
        replace(part, destination)
        _remove(part)
        return destination
    raise FetchError(destination.name, "; ".join(reasons) or "it has no address")


def _by_answer(urls: Sequence[str], seconds: float, reasons: list[str]) -> list[str]:
    """The mirrors, those that answer in front, encrypted ones first; none if none answers in time (see `reasons`)."""
    answers: queue.Queue[tuple[str, str | None]] = queue.Queue()

    def try_mirror(url: str) -> None:
        try:
            with _open(url, {}, seconds):
                answers.put((url, None))
        except (OSError, HTTPException, ValueError) as error:
            answers.put((url, _reason(error)))

    for url in urls:  # daemons: a name that never resolves cannot be interrupted, and must not keep Python from ending
        threading.Thread(target=try_mirror, args=(url,), daemon=True).start()
    deadline = time.monotonic() + seconds
    waiting = list(urls)
    ready: list[str] = []
    refusals: list[str] = []
    while waiting and not (ready and (_encrypted(ready[-1]) or not any(map(_encrypted, waiting)))):
        try:
            url, refusal = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            if not ready:
                reasons += [*refusals, *(f"{_host(url)}: no answer within {seconds:g} s" for url in waiting)]
                return []
            break
        waiting.remove(url)
        if refusal is None:
            ready.append(url)
        else:
            refusals.append(f"{_host(url)}: {refusal}")
    reasons += refusals
    return [*sorted(ready, key=_encrypted, reverse=True), *waiting] if ready else []


def _download(url: str, part: Path, limits: Limits, name: str, size: int | None) -> None:
    """Bring `part` to the whole length of what `url` delivers."""
    for _ in range(limits.attempts):
        try:
            if _advance(url, part, limits, name, size):
                return
            reason = "the connection broke off"
        except HTTPError as error:
            reason = _reason(error)
            if error.code == 416:  # the part is as long as the file, or longer: not this file's
                _remove(part)
            elif error.code < 500:
                raise _MirrorError(reason) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = _reason(error)
    raise _MirrorError(f"{reason}, {limits.attempts} times")


def _advance(url: str, part: Path, limits: Limits, name: str, size: int | None) -> bool:
    """Append to `part` until the server has no more; whether it is whole then."""
    tag = _tag(part)
    have = part.stat().st_size if tag and part.exists() else 0
    # Only if it is still the file that the part is of; else all of it again.
    headers = {"Range": f"bytes={have}-", "If-Range": tag} if have else {}
    with _open(url, headers, limits.read) as response:
        place = response.headers.get("Content-Range", "")
        resumed = have > 0 and response.status == 206 and place.startswith(f"bytes {have}-")
        if response.status == 206 and (not resumed or _named(response.headers) not in ("", tag)):
            _remove(part)
            raise HTTPException("the server resumes elsewhere than requested")
        have = have if resumed else 0
        total = _total(response.headers, have, size)
        with disk_errors(part.parent, (total or have) - have), part.open("ab" if resumed else "wb") as file:
            if not resumed:
                _tag_file(part).write_text(_named(response.headers), encoding="ascii")
            with progress(total, f"{name} from {_host(url)}", "B", initial=have, scale=True) as bar:
                since, before = time.monotonic(), have
                while block := response.read1(BLOCK):
                    have += len(block)
                    if have > (total or LARGEST):
                        raise _MirrorError("it delivers more than it offered")
                    file.write(block)
                    bar.update(len(block))
                    if time.monotonic() > since + limits.read:
                        if have < before + limits.least:
                            raise TimeoutError(f"less than {limits.least:,} bytes in {limits.read:g} s")
                        since, before = time.monotonic(), have
    return total is None or have == total


def _total(headers: HTTPMessage, have: int, size: int | None) -> int | None:
    """The length that the whole file must have: as published, or from the server's header; None without either."""
    length = headers.get("Content-Length")
    if length is None:
        return size
    if not (length.isascii() and length.isdigit() and len(length) < len(str(LARGEST)) + 1 and int(length) <= LARGEST):
        raise _MirrorError(f"it declares {length[:20]} bytes")
    total = have + int(length)
    if size not in (None, total):
        raise _MirrorError(f"it offers another file, of {total:,} bytes and not {size:,}")
    return total


def _check(part: Path, known: Published) -> None:
    """Raises _MirrorError, and removes the part, where it is not the file that was meant."""
    try:
        with part.open("rb") as file:
            if file.read(64).lstrip()[:1] == b"<":
                raise _MirrorError("it delivers a web page")
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest() if known.sha256 else None
        if known.sha256 and found != known.sha256.lower():
            raise _MirrorError(f"it delivers another file (sha256 {found:.12}..., not {known.sha256:.12}...)")
        known.check(part)
    except (_MirrorError, DatasetError) as error:
        _remove(part)
        if isinstance(error, _MirrorError):
            raise
        raise _MirrorError("what it delivers is cut off or another kind of file") from error


class _NoWayBack(request.HTTPRedirectHandler):
    """Follows redirections, but never from an encrypted address to an open one."""

    def redirect_request(self, req: request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if _encrypted(req.full_url) and not _encrypted(newurl):
            raise URLError("it redirects to an address that is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: dict[str, str], seconds: float) -> HTTPResponse:
    opener = request.OpenerDirector()  # of http and https only: the usual one follows redirections to ftp
    for handler in (
        request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, _NoWayBack,
        request.HTTPErrorProcessor, request.HTTPDefaultErrorHandler, request.UnknownHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener.open(request.Request(url, headers={"User-Agent": "trajectories", **headers}), timeout=seconds)


def _encrypted(url: str) -> bool:
    return url.startswith("https:")


def _named(headers: HTTPMessage) -> str:
    """The server's name for the state of the file, if it is one that a part may be resumed by."""
    named = headers.get("ETag") or headers.get("Last-Modified") or ""
    return named if TAG.fullmatch(named) else ""


def _tag(part: Path) -> str:
    """The name of the state of the file that `part` is of."""
    try:
        kept = _tag_file(part).read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
    return kept if TAG.fullmatch(kept) else ""


def _tag_file(part: Path) -> Path:
    return part.with_suffix(".tag")


def _remove(part: Path) -> None:
    for file in (part, _tag_file(part)):
        file.unlink(missing_ok=True)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return one_line(" ".join(str(reason).split()) or type(reason).__name__, 100).rstrip(".")
