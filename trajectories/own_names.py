"""What data of one's own are called: by their file or as their owner says, an @, and the environment they belong to."""

from collections.abc import Sequence
from pathlib import Path

from trajectories import minari_folders
from trajectories.errors import UserError

OWN = "@"


def own_parts(name: str) -> tuple[str, str] | None:
    """What data of one's own are called and their environment, of `mine@Hopper-v4`; None for any other name.

    A file's name may have an @ in it, and so may an environment's options.
    """
    head, question, options = name.partition("?")
    own, at, env = head.rpartition(OWN)
    return (own, env + question + options) if at else None


def own_name(name: str | None, task: str, path: Path | None) -> str:
    """The name of data of one's own, recorded in the environment `task`.

    Args:
        name: as the user says, perhaps with the environment already; or the id of a Minari data set on this machine;
            else the file's name.

    Raises:
        UserError: there is no file, or `name` says another environment.
    """
    if path is None and not (name and minari_folders.versions(name)):
        raise UserError(f"--task {task} says in which environment a file of yours was recorded: name it with --path.")
    parts = own_parts(name or "")
    if parts and parts[1] != task:
        raise UserError(f"{name} and --task {task} name two environments: leave one out.")
    return f"{parts[0] if parts else name or (path and path.stem.replace('?', '-'))}{OWN}{task}"


def check_named(names: Sequence[str], paths: Sequence[Path], source: str) -> None:
    """Refuse a file of one's own that is given without its environment, and would be taken for the usual data set.

    Raises:
        UserError: as said.
    """
    files = [path for path in paths if not path.expanduser().is_dir()]  # a folder may say itself what it is
    if files and not names and source == "auto":
        raise UserError(
            f"--path {files[0]} does not say in which environment it was recorded: add --task, as --task Hopper-v4, or "
            f"for a copy of a data set of the catalog --env, as --env hopper-medium."
        )
