"""Levels of Sokoban: boards of whole numbers, drawn by playing backwards from a solved board, or read from files.

Drawn    a walker carves a room of which 45% to 75% is floor; boxes are put on targets, and a player pulls them about at
         random. Of the boards on the way that one is taken which needs the most pushes by the lower bound below: more
         pulls make harder levels. Every level can be solved, since pulls undone are pushes
Files    Boxoban's, https://github.com/google-deepmind/boxoban-levels: some thousand levels each, a line that begins
         with a semicolon before each level, then its rows in the usual characters (`LETTERS`)

Cells    are counted row by row, and a board's border is wall throughout, so that a step in any direction is one sum
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from trajectories.disk import data_folder
from trajectories.errors import UserError

WALL, FLOOR, TARGET, BOX_ON_TARGET, BOX, PLAYER, PLAYER_ON_TARGET = range(7)
LETTERS = "# .*$@+"  # of the kinds of cells, in their order
BOXOBAN = "https://github.com/google-deepmind/boxoban-levels"
TURNS = 0.5  # how often the walker that carves a room changes its direction
FLOORS = (0.45, 0.75)  # share of the room that it carves
NEVER = 1 << 20  # pushes from where a box cannot be brought to a target


def directions(width: int) -> tuple[int, int, int, int]:
    """What up, down, left and right add to a cell."""
    return (-width, width, -1, 1)


# ---- drawn ----------------------------------------------------------------------------------------------------------


def draw(generator: np.random.Generator, size: int, boxes: int, pulls: int) -> np.ndarray:
    """A level that can be solved, and of which no box is on a target, (size, size) uint8.

    Args:
        boxes: how many, with as many targets.
        pulls: how many of them the boxes are moved by.
    """
    while True:
        floor = _room(generator, size)
        targets = generator.choice(np.flatnonzero(floor), boxes, replace=False).tolist()
        found = _hardest(generator, floor, size, targets, pulls)
        if found is not None:
            board = np.where(floor, FLOOR, WALL).astype(np.uint8)
            board[targets], board[list(found[1])], board[found[0]] = TARGET, BOX, PLAYER
            return board.reshape(size, size)


def _room(generator: np.random.Generator, size: int) -> np.ndarray:
    """Which cells are floor, (size * size,) bool: those in the 2 x 2 cells about a walker."""
    floor = np.zeros((size, size), bool)
    enough = generator.uniform(*FLOORS) * (size - 2) ** 2
    row, column = generator.integers(1, size - 2, 2).tolist()
    direction = 0
    while np.count_nonzero(floor) < enough:
        floor[row : row + 2, column : column + 2] = True
        if generator.random() < TURNS:
            direction = int(generator.integers(4))
        down, right = ((-1, 0), (1, 0), (0, -1), (0, 1))[direction]
        row, column = min(max(row + down, 1), size - 3), min(max(column + right, 1), size - 3)
    return floor.reshape(-1)


def _hardest(
    generator: np.random.Generator, floor: np.ndarray, size: int, targets: list[int], pulls: int
) -> tuple[int, tuple[int, ...]] | None:
    """The player and the boxes that are farthest from the targets on a random way back; None if there are none."""
    moves, free = directions(size), floor.tolist()
    bound = lower_bound(free, size, targets)
    boxes = set(targets)
    player = int(generator.choice([cell for cell in np.flatnonzero(floor).tolist() if cell not in boxes]))
    most, best = 0, None
    for chance in generator.random(pulls).tolist():
        near = reached(player, boxes, free, moves)
        able = [
            (box, move)
            for box in sorted(boxes)
            for move in moves
            if box + move in near and free[box + 2 * move] and box + 2 * move not in boxes
        ]
        if not able:
            break
        box, move = able[int(chance * len(able))]
        boxes = (boxes - {box}) | {box + move}
        player = box + 2 * move
        if not boxes & set(targets) and (pushes := bound(tuple(sorted(boxes)))) > most:
            most, best = pushes, (player, tuple(sorted(boxes)))
    if best is None:
        return None
    places = sorted(reached(best[0], set(best[1]), free, moves) - set(targets))
    return (int(generator.choice(places)), best[1]) if places else None


def reached(player: int, boxes: set[int], floor: Sequence[bool], moves: Iterable[int]) -> set[int]:
    """The cells to which the player can walk without a push."""
    found, waiting = {player}, [player]
    while waiting:
        cell = waiting.pop()
        for move in moves:
            beside = cell + move
            if floor[beside] and beside not in boxes and beside not in found:
                found.add(beside)
                waiting.append(beside)
    return found


# ---- how far boxes are from targets ---------------------------------------------------------------------------------


def pushes_to(target: int, floor: Sequence[bool], size: int) -> list[int]:
    """The fewest pushes that bring the only box from each cell to a target; `NEVER` where none do."""
    pushes = [NEVER] * len(floor)
    pushes[target], waiting = 0, [target]
    for cell in waiting:  # backwards: the box is pulled, and the player needs a place behind it
        for move in directions(size):
            beside = cell + move
            if floor[beside] and floor[beside + move] and pushes[beside] == NEVER:
                pushes[beside] = pushes[cell] + 1
                waiting.append(beside)
    return pushes


def lower_bound(floor: Sequence[bool], size: int, targets: Sequence[int]) -> Callable[[tuple[int, ...]], int]:
    """A function of the boxes' cells: pushes that no solution does without, each box having a target of its own.

    It is at least `NEVER` where there is no solution.
    """
    tables = [pushes_to(target, floor, size) for target in targets]

    @cache
    def assigned(boxes: tuple[int, ...]) -> dict[int, int]:
        """The fewest pushes of these boxes by the set of targets that they are brought to, a bit each."""
        fewest = dict[int, int]()
        for taken, pushes in (assigned(boxes[:-1]) if boxes[1:] else {0: 0}).items():
            for place, table in enumerate(tables):
                if not taken >> place & 1:
                    key, total = taken | 1 << place, pushes + table[boxes[-1]]
                    fewest[key] = min(total, fewest.get(key, total))
        return fewest

    return lambda boxes: assigned(boxes)[(1 << len(tables)) - 1]


# ---- read from files ------------------------------------------------------------------------------------------------


def found(place: str) -> tuple[Path, ...]:
    """The level files in a folder, in those in it, or at a path; what is not absolute is below the cache.

    Raises:
        UserError: there are none.
    """
    path = data_folder() / Path(place).expanduser()
    files = (path,) if path.is_file() else tuple(sorted(path.rglob("*.txt")))
    if not files:
        clone = f"git clone {BOXOBAN} {data_folder() / BOXOBAN.rpartition('/')[2]}"
        raise UserError(f"There are no level files in {path}: fetch Boxoban's with `{clone}`.")
    return files


def of_file(files: Sequence[Path], size: int, seed: int) -> np.ndarray:
    """The level of a seed, (size, size) uint8: thousands choose the file, the rest a level in it.

    Raises:
        UserError: it cannot be read, or is no level of this size.
    """
    thousand, number = divmod(seed, 1000)
    file = files[thousand % len(files)]
    texts = _texts(file)
    number %= len(texts)
    lines = [line for line in texts[number].splitlines()[1:] if line]
    if problem := _problem(lines, size):
        raise UserError(f"{file}, level {number}: {problem}: choose a file of levels of {size} x {size} cells.")
    return np.array([[LETTERS.index(letter) for letter in line] for line in lines], np.uint8)


@lru_cache(maxsize=64)
def _texts(file: Path) -> list[str]:
    """The levels in a file, each with its number in the first line."""
    try:
        texts = file.read_text(encoding="ascii").split(";")[1:]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is no file of levels ({error}): choose one of Boxoban's.") from error
    if not texts:
        raise UserError(f"{file} holds no line that begins with a semicolon, and so no level: choose one of Boxoban's.")
    return texts


def _problem(lines: list[str], size: int) -> str:
    """Why these lines are no level; empty if they are one."""
    if len(lines) != size or {len(line) for line in lines} != {size}:
        return f"it is not {size} lines of {size} cells"
    count = Counter("".join(lines))
    players, boxes, targets = (sum(count[letter] for letter in letters) for letters in ("@+", "$*", ".*+"))
    if others := count.keys() - set(LETTERS):
        return f"it holds {min(others)!r}"
    if set(lines[0] + lines[-1] + "".join(line[0] + line[-1] for line in lines)) != {"#"}:
        return "its border is not all wall"
    if players != 1 or boxes != targets or not count["$"]:
        return f"it has {players} players, {targets} targets and {boxes} boxes, of which {count['*']} are on them"
    return ""
