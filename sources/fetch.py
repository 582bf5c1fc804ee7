"""Download a file once: from whichever mirror answers, with progress, resumed where it broke off, checked, renamed.

A server may be slow, down, or behind a name that never resolves. So all mirrors are first asked at once, each in a
thread of its own, and after a few seconds with no answer there is no network: nothing waits for longer than its limits.
"""

import hashlib
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from trajectories.atomic import disk_errors, replace
from trajectories.errors import DatasetError
from trajectories.progress import progress

BLOCK = 1 << 18  # bytes


class FetchError(DatasetError):
    """A file cannot be had from any of its addresses; `reasons` says why, mirror by mirror."""

    def __init__(self, name: str, reasons: str) -> None:
        super().__init__(f"{name} cannot be fetched ({reasons}): try again later, or name your own copy with --path.")
        self.reasons = reasons


class _MirrorError(Exception):
    """One mirror does not deliver."""


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds, and how often to try."""

    answer: float = 8.0  # until the first mirror answers; they are asked at once
    read: float = 20.0  # until a connection is made, or the next bytes come
    attempts: int = 3  # at each mirror; every one resumes where the last broke off


def fetch(urls: Sequence[str], destination: Path, sha256: str | None = None, limits: Limits | None = None) -> Path:
    """Download `destination` from the first of `urls` that delivers it; a whole file appears there, or none.

    Args:
        urls: mirrors of one file. The quickest to answer is tried first, then the others in their order.
        sha256: what the file must hash to; None where nobody publishes it.

    Raises:
        FetchError: no mirror answers in time, or each breaks off, or delivers something else.
        UserError: the disk is full.
    """
    limits = limits or Limits()
    reasons: list[str] = []
    for url in _by_answer(urls, limits.answer, reasons):
        # A part belongs to its mirror: bytes of two servers are never joined.
        part = destination.with_name(f"{destination.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
        try:
            _download(url, part, limits, destination.name)
            _check(part, sha256)
        except _MirrorError as error:
            reasons.append(f"{_host(url)}: {error}")
            continue
        replace(part, destination)
        _tag(part).unlink(missing_ok=True)
        return destination
    raise FetchError(destination.name, "; ".join(reasons) or "it has no address")


def _by_answer(urls: Sequence[str], seconds: float, reasons: list[str]) -> list[str]:
    """The mirrors, the first to answer in front; none if none answers in time, and `reasons` says why."""
    answers: queue.Queue[tuple[str, str | None]] = queue.Queue()

    def ask(url: str) -> None:
        try:
            with _open(url, {}, seconds):
                answers.put((url, None))
        except (OSError, HTTPException, ValueError) as error:
            answers.put((url, _reason(error)))

    for url in urls:  # daemons: a name that never resolves cannot be interrupted, and must not keep Python from ending
        threading.Thread(target=ask, args=(url,), daemon=True).start()
    deadline = time.monotonic() + seconds
    waiting = list(urls)
    refusals = []
    while waiting:
        try:
            url, refusal = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            refusals += [f"{_host(url)}: no answer within {seconds:g} s" for url in waiting]
            break
        waiting.remove(url)
        if refusal is None:
            reasons += refusals
            return [url, *waiting]
        refusals.append(f"{_host(url)}: {refusal}")
    reasons += refusals
    return []


def _download(url: str, part: Path, limits: Limits, name: str) -> None:
    """Bring `part` to the whole length of what `url` delivers."""
    for _ in range(limits.attempts):
        try:
            if _advance(url, part, limits, name):
                return
            reason = "the connection broke off"
        except HTTPError as error:
            reason = _reason(error)
            if error.code == 416:  # the part is as long as the file, or longer: not this file's
                part.unlink(missing_ok=True)
            elif error.code < 500:
                raise _MirrorError(reason) from error
        except (OSError, HTTPException) as error:
            reason = _reason(error)
    raise _MirrorError(f"{reason}, {limits.attempts} times")


def _advance(url: str, part: Path, limits: Limits, name: str) -> bool:
    """Append to `part` until the server has no more; whether it is whole then."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and _tag(part).exists() and (tag := _tag(part).read_text(encoding="utf-8")):
        headers["If-Range"] = tag  # only if it is still the file that the part is of; else all of it again
    with _open(url, headers, limits.read) as response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status == 206 and not resumed:
            raise HTTPException("the server resumes elsewhere than it was asked to")
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with disk_errors(part.parent, (total or have) - have), part.open("ab" if resumed else "wb") as file:
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            _tag(part).write_text(tag, encoding="utf-8")
            with progress(total, f"{name} from {_host(url)}", "B", initial=have, scale=True) as bar:
                while block := response.read1(BLOCK):
                    file.write(block)
                    bar.update(len(block))
    return total is None or part.stat().st_size == total


def _check(part: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        part.unlink()
        _tag(part).unlink(missing_ok=True)
        raise _MirrorError(f"it delivers another file (sha256 {found[:12]}..., not {sha256[:12]}...)")


def _open(url: str, headers: dict[str, str], seconds: float) -> HTTPResponse:
    return urlopen(Request(url, headers={"User-Agent": "trajectories", **headers}), timeout=seconds)


def _tag(part: Path) -> Path:
    """Where the server's name for the state of the file is kept (ETag)."""
    return part.with_suffix(".tag")


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return (str(reason) or type(reason).__name__).rstrip(".")
