"""Files that a package manager holds, fetched by its own client: pip, apt or npm, whichever the row names.

Each fetches one file, with nothing installed and nothing of it run. Its size and sha256 must be those of the row, but
for Debian's packages: apt checks their signatures and has the latest version only, which may be another one.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from trajectories.answered import AnsweredRow, Package
from trajectories.atomic import atomic_directory, disk_errors, make_once
from trajectories.errors import DamagedFileError, DatasetError, UserError
from trajectories.formats.limits import check_declared

SECONDS = 1_800  # after which a client that does not end has failed
REQUIREMENTS = "requirements.txt"


def fetched(cache: Path, row: AnsweredRow) -> Path:
    """The file of a row's package, in the cache; fetched if it is not there yet.

    Raises:
        DatasetError: its package manager is missing or fails, or delivers another file than is known.
        UserError: the disk is full.
    """
    package = row.package
    assert package is not None
    folder = make_once(cache / "package" / package.folder, partial(_fetch, cache / "package", row, package))
    return next(file for file in sorted(folder.iterdir()) if file.name != REQUIREMENTS)


def version(package: Package, file: Path) -> str:
    """A note on a file that is another version than the row's; "" where it is that."""
    return "" if _is_known(package, file) else f"{file.name} is another version than {package}: its content may differ."


def _fetch(folder: Path, row: AnsweredRow, package: Package) -> None:
    print(f"Fetching {package.name}, {package.size / 1e6:,.1f} MB, with {package.manager} ({row.license}).", flush=True)
    with disk_errors(folder, package.size), atomic_directory(folder / package.folder) as fresh:
        command = COMMANDS[package.manager](package, fresh)
        if command is None:
            raise _failed(row, package, f"{package.manager} is not installed")
        try:
            done = subprocess.run(
                command,
                cwd=fresh,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(row, package, f"{package.manager}: {error}") from error
        files = [file for file in fresh.iterdir() if file.name != REQUIREMENTS]
        if done.returncode or len(files) != 1:
            raise _failed(row, package, f"{package.manager} says {_reason(done.stderr + done.stdout):.200}")
        if not _is_known(package, files[0]):
            if package.manager != "apt":
                raise _failed(row, package, f"{package.manager} delivers another file of that name")
            print(f"Beware: {version(package, files[0])}")


def _failed(row: AnsweredRow, package: Package, reason: str) -> DatasetError:
    """Why a package is not here, and the way around its manager."""
    way = f"get {package.name} {package.version} elsewhere, unpack it, and name {row.inside} in it with --path"
    return DatasetError(f"{row.name} cannot be fetched ({reason}): {way}.")


def _reason(output: str) -> str:
    """The line of a client's output that says why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["nothing"]
    return next((line for line in lines if line.lower().startswith(("error", "e:", "npm err"))), lines[-1])


def _is_known(package: Package, file: Path) -> bool:
    if file.stat().st_size != package.size:
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == package.sha256


# ---- clients: the command that fetches a package into the current folder; None where the client is missing -----------


def _pip(package: Package, folder: Path) -> list[str] | None:
    """pip checks the hash before it looks into a file; of an sdist it would run the file's own code."""
    if importlib.util.find_spec("pip") is None:
        return None
    line = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
    (folder / REQUIREMENTS).write_text(line, encoding="utf-8")
    options = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "--quiet"]
    return [sys.executable, "-m", "pip", "download", *options, "--requirement", REQUIREMENTS, "--dest", "."]


def _apt(package: Package, folder: Path) -> list[str] | None:
    client = shutil.which("apt-get")
    return [client, "--quiet=2", "download", package.name] if client and shutil.which("dpkg") else None


def _npm(package: Package, folder: Path) -> list[str] | None:
    client = shutil.which("npm")
    return [client, "pack", "--ignore-scripts", "--silent", f"{package.name}@{package.version}"] if client else None


COMMANDS: dict[str, Callable[[Package, Path], list[str] | None]] = {"pip": _pip, "apt": _apt, "npm": _npm}


# ---- unpacking -------------------------------------------------------------------------------------------------------


def unpack(file: Path, folder: Path) -> None:
    """What is in a package's file, into a new folder.

    Raises:
        DamagedFileError: it cannot be unpacked.
        UserError: the disk is full.
    """
    folder.mkdir()
    try:
        with disk_errors(folder, option="--data-dir"):
            if file.suffix == ".deb":
                subprocess.run(["dpkg", "-x", str(file), str(folder)], capture_output=True, timeout=SECONDS, check=True)
            elif file.suffix in (".whl", ".zip"):
                with zipfile.ZipFile(file) as archive:
                    check_declared(sum(each.file_size for each in archive.infolist()), file.stat().st_size, str(file))
                    archive.extractall(folder)
            else:
                with tarfile.open(file) as archive:
                    check_declared(sum(each.size for each in archive), file.stat().st_size, str(file))
                    archive.extractall(folder, filter="data")
    except UserError:
        raise
    except Exception as error:  # of many types, each for another way of being damaged
        raise DamagedFileError(file, error) from error
