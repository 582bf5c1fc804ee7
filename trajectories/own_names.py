"""Names of the user's own data: the file's name or a chosen one, an @, and the environment they belong to."""

from collections.abc import Sequence
from pathlib import Path

from trajectories import minari_folders
from trajectories.errors import UserError

OWN = "@"


def own_parts(name: str) -> tuple[str, str] | None:
    """The parts of the name of the user's own data, ("mine", "Hopper-v4") of mine@Hopper-v4; None for any other name.

    A file's name may have an @ in it, and so may an environment's options.
    """
    head, question, options = name.partition("?")
    own, at, env = head.rpartition(OWN)
    return (own, env + question + options) if at else None


def own_name(name: str | None, task: str, path: Path | None) -> str:
    """The name of the user's own data, recorded in the environment `task`.

    Args:
        name: chosen by the user, perhaps with the environment already; or the id of a Minari data set on this machine;
            else the file's name.

    Raises:
        UserError: there is no file, or `name` has another environment.
    """
    if path is None and not (name and minari_folders.versions(name)):
        raise UserError(f"--task {task} is the environment in which a file of yours was recorded: name it with --path.")
    parts = own_parts(name or "")
    if parts and parts[1] != task:
        raise UserError(f"{name} and --task {task} name two environments: leave one out.")
    return f"{parts[0] if parts else name or (path and path.stem.replace('?', '-'))}{OWN}{task}"


def check_named(names: Sequence[str], paths: Sequence[Path], source: str) -> None:
    """Refuse the user's own file without its environment, which would be taken for the default data set.

    Raises:
        UserError: there is such a file.
    """
    files = [
        path for path in paths if not path.expanduser().is_dir()
    ]  # the metadata in a folder may name the environment
    if files and not names and source == "auto":
        raise UserError(
            f"--path {files[0]} does not say in which environment it was recorded: add --task, as --task Hopper-v4, or "
            f"for a copy of a data set of the catalog --env, as --env hopper-medium."
        )
