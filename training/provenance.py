"""What a run was made with: its code and the packages below it. For its record."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()  # of a checkout, or where an installed one is used
CODE = (  # the folders whose files decide a run's numbers
    *("trajectories", "environments", "sources", "backbone", "decision_transformer", "trajectory_transformer", "gato"),
    *("baselines", "training", "report", "experiments", "trajectory_models"),
)
PACKAGES = ("torch", "numpy", "gymnasium", "mujoco", "h5py", "safetensors")


def commit() -> tuple[str, bool]:
    """The commit of this code, and whether the code differs from it: a file changed, or one that git does not know.

    ("unknown", True) without git, and where the code is installed somewhere below another repository.
    """
    try:
        if Path(git("rev-parse", "--show-toplevel")).samefile(ROOT):
            return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=all", "--", *CODE))
    except (OSError, subprocess.CalledProcessError):
        pass
    return "unknown", True


DIRTY = ", with changes"  # behind a commit


def code() -> str:
    """The commit of this code, and whether it differs from it, in words."""
    head, dirty = commit()
    return head + DIRTY * dirty


def versions() -> dict[str, str]:
    """Python's version and those of the packages that numbers depend on, where they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git(*arguments: str) -> str:
    """What git answers; CalledProcessError where it does not know. In Docker the checkout may be another account's."""
    command = ["git", "-c", f"safe.directory={ROOT}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()
