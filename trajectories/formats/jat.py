"""JAT: the Parquet files of a generalist's demonstrations -> Trajectories.

Source   jat-project/jat-dataset on the Hugging Face hub; recorded by huggingface/jat at 834b49c, data/envs
Layout   train-*.parquet (and test-*.parquet, a tenth, which is not read), a row an episode, a list a column:
         metaworld, mujoco   continuous_observations (T, S), continuous_actions (T, A), rewards (T)
         babyai              text_observations (T), the mission at every step; discrete_observations (T, 148), the
                             direction and the view row by row; discrete_actions (T), rewards (T)
         atari               image_observations (T), a PNG of 84 x 84 pixels at every step, whose four channels are the
                             last four frames, the newest behind; discrete_actions (T), rewards (T)
Ends     are not stored. An episode that is shorter than the environment's time limit terminated; Meta-World's never do,
         and were cut after 100 steps. The observation after the last action is not stored either
Frames   only the newest of each PNG is kept, and windows.py stacks them: those from before the episode are blank, where
         JAT repeats the first one

Files are read some episodes at a time and observations written into the file of the column (store.py), since those of
Atari are gigabytes.

Shapes   N steps of some episodes, S numbers of an observation
"""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DamagedFileError, DatasetError
from trajectories.formats import arrow_lists, columns
from trajectories.formats.streams import GrowingColumn
from trajectories.parts import pack, to_bytes
from trajectories.progress import progress
from trajectories.types import Provenance, Spec, Trajectories

FILES = "train-*.parquet"
SHARD = re.compile(r"train-(\d{1,9})-of-(\d{1,9})\.parquet")  # its number, from 0, and how many there are
AT_ONCE = 16  # episodes
OBSERVED = ("continuous_observations", "discrete_observations", "text_observations", "image_observations")
ACTED = ("continuous_actions", "discrete_actions")
CUT = "metaworld"  # the family whose episodes are cut before the environment's time limit


def folder_of(path: Path, configuration: str | None) -> Path | None:
    """The folder of the files: `path`, or the configuration's below it; None where neither holds such files."""
    tried = [path, path / configuration] if configuration else [path]
    return next((folder for folder in tried if any(folder.glob(FILES))), None)


def read(
    path: Path,
    spec: Spec,
    name: str,
    source: str = "jat",
    trailing_zeros: int = 0,
    long_episodes: bool = False,
    *,
    observations: Path,
) -> Trajectories:
    """Read a folder's files.

    Args:
        spec: the environment's; the other arguments as in `own_files.read`.
        observations: where the column of observations is written; it must outlive the trajectories.

    Raises:
        UserError: pyarrow is not installed.
        DatasetError: there are no files, one is damaged or not of this layout, or it does not fit the environment.
    """
    files = sorted(Path(path).glob(FILES))
    if not files:
        raise DatasetError(f"{path} holds no {FILES}: give the folder of one of JAT's configurations.")
    _check_announced(files)
    kept: dict[str, list[np.ndarray]] = {"actions": [], "rewards": [], "lengths": []}
    with (
        GrowingColumn(observations, spec.frame_shape, spec.observation_dtype) as column,
        progress(len(files), f"reading {name}", "files") as bar,
    ):
        for file in files:
            for batch in arrow_lists.batches(file, AT_ONCE, _used(file)):
                episodes = _episodes(batch, file)
                kept["lengths"].append(next(iter(episodes.values()))[0])
                kept["rewards"].append(_numbers(episodes, ("rewards",), file))
                kept["actions"].append(_numbers(episodes, ACTED, file))
                column.append(_observations(episodes, spec, file))
            bar.update(1)
    merged = {key: np.concatenate(parts) for key, parts in kept.items()} if kept["lengths"] else {}
    if not merged or not len(merged["rewards"]):
        raise DatasetError(f"{path} holds no steps: get its files again.")
    bounds = np.unique(np.concatenate([[0], np.cumsum(merged.pop("lengths"))]))  # an episode without steps is none
    last = np.isin(np.arange(1, bounds[-1] + 1), bounds[1:])
    cut = np.zeros(len(last), bool)
    cut[bounds[1:] - 1] = (np.diff(bounds) >= spec.max_episode_steps) | spec.name.startswith(CUT)
    table = {**merged, "observations": np.load(observations, mmap_mode="r"), "terminals": last & ~cut, "timeouts": cut}
    origin = Provenance(name, source, "", {"file": Path(path).name, "files": len(files)})
    return columns.trajectories(table, bounds, spec, origin, str(path), trailing_zeros, long_episodes)


def _episodes(batch: Any, file: Path) -> dict[str, tuple[np.ndarray, Any]]:
    """Of each column how many steps its episodes have, and the values of all steps.

    Raises:
        DamagedFileError: columns disagree on the episodes' steps, or hold no lists.
    """
    found = {}
    for name in batch.schema.names:
        try:
            array = batch.column(name)
            found[name] = (arrow_lists.lengths(array), array.flatten())
        except ValueError as error:
            raise DamagedFileError(file, f"{name}: {error}") from error
    (first, (lengths, _)), *others = found.items()
    for other, (own, _) in others:
        if (differ := np.flatnonzero(own != lengths)).size:
            row = differ[0]
            raise DamagedFileError(file, f"an episode has {lengths[row]} {first} and {own[row]} {other}")
    return found


def _numbers(episodes: dict[str, tuple[np.ndarray, Any]], names: tuple[str, ...], file: Path) -> np.ndarray:
    """The first of these columns that there is, (N, ...)."""
    name = next((name for name in names if name in episodes), None)
    if name is None:
        raise _lacks(file, names)
    try:
        return arrow_lists.values(episodes[name][1])
    except ValueError as error:
        raise DamagedFileError(file, f"{name}: {error}") from error


def _used(file: Path) -> list[str]:
    """The columns of a file that are read; none of a file without episodes."""
    present = arrow_lists.names(file)
    used = [each for each in (*OBSERVED, *ACTED, "rewards") if each in present]
    if present and not used:
        raise _lacks(file, ACTED)
    return used


def _lacks(file: Path, names: tuple[str, ...]) -> DatasetError:
    return DatasetError(f"{file} has neither {' nor '.join(names)}: give files of JAT's, not those of its tokens.")


def _check_announced(files: list[Path]) -> None:
    """Raises DatasetError where files are missing whose number their names announce, or one is there twice."""
    numbers = {file: SHARD.fullmatch(file.name) for file in files}
    announced = {file: (int(match[1]), int(match[2])) for file, match in numbers.items() if match}
    if not announced:
        return
    (first, (_, total)), *_ = announced.items()
    for file in files:
        if file not in announced or announced[file][1] != total:
            raise DatasetError(f"{file} lies beside {first.name}: leave one set's files alone there.")
    if missing := sorted(set(range(total)) - {number for number, _ in announced.values()}):
        raise DatasetError(f"{first.parent} has no file {missing[0]} of {total} ({FILES}): get the missing ones.")


def _observations(episodes: dict[str, tuple[np.ndarray, Any]], spec: Spec, file: Path) -> np.ndarray:
    """The rows of the column of observations, (N, *frame)."""
    if "image_observations" in episodes:
        frames = [_newest_frame(png, spec, file) for png in _pngs(episodes["image_observations"][1], file)]
        return np.array(frames, spec.observation_dtype).reshape(-1, *spec.frame_shape)
    if spec.parts or "text_observations" in episodes:
        return _parts(episodes, spec, file)
    found = _numbers(episodes, OBSERVED[:2], file)
    found = columns.fitting(found, spec.frame_shape, "observations", str(file))
    return columns.numbers(found, spec.observation_dtype, "observations", str(file))


def _parts(episodes: dict[str, tuple[np.ndarray, Any]], spec: Spec, file: Path) -> np.ndarray:
    """Texts and numbers as rows of bytes: the numbers one after another, in the order of the parts."""
    texts = [part for part in spec.parts if part.kind == "text"]
    others = [part for part in spec.parts if part.kind != "text"]
    numbers = _numbers(episodes, OBSERVED[1:2], file)
    size = sum(part.size for part in others)
    if len(texts) != 1 or "text_observations" not in episodes or numbers.shape[1:] != (size,):
        holds = f"{', '.join(episodes)}, of {numbers.shape[1:]} numbers at each step"
        shown = ", ".join(part.name for part in spec.parts) or "one array"
        raise DatasetError(f"{file} holds {holds}, but {spec.name} shows {shown}: name its own environment.")
    found = {}
    for part, first in zip(others, np.cumsum([0, *(part.size for part in others)]), strict=False):
        values = columns.numbers(numbers[:, first : first + part.size], part.dtype, part.name, str(file))
        found[part.name] = values.reshape(len(values), *part.shape)
    known = episodes["text_observations"][1].dictionary_encode()  # a mission stands at every step of its episode
    if known.null_count:
        raise DamagedFileError(file, "text_observations: a text is missing")
    found[texts[0].name] = to_bytes(known.dictionary.to_pylist())[known.indices.to_numpy()]
    return pack(found, spec.parts)


def _pngs(images: Any, file: Path) -> list[bytes]:
    """The files of a column of images, which the hub keeps as (bytes, path)."""
    found = images.field("bytes").to_pylist() if hasattr(images, "field") else images.to_pylist()
    if not all(isinstance(png, bytes) for png in found):
        raise DamagedFileError(file, "image_observations: an image is missing")
    return found


def _newest_frame(png: bytes, spec: Spec, file: Path) -> np.ndarray:
    """The last channel of an image.

    Raises:
        DatasetError: it is no image, or has other sides or fewer channels than the stack has frames.
    """
    from PIL import Image  # only where there are images

    high, wide = spec.frame_shape if len(spec.frame_shape) == 2 else (0, 0)
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.size != (wide, high) or len(image.getbands()) != spec.frame_stack:
                raise DatasetError(
                    f"{file} holds images of {image.width} x {image.height} pixels with {len(image.getbands())} "
                    f"channels, but {spec.name} shows {spec.observation_shape}: name its own environment."
                )
            return np.asarray(image)[..., -1]
    except DatasetError:
        raise
    except Exception as error:  # Pillow fails in many ways at a damaged image
        raise DamagedFileError(file, error) from error
