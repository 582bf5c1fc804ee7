"""Sokoban: its rules and rewards, levels that are drawn or read, and solutions that are the shortest."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest

from environments import sokoban_levels as levels
from environments.make import make
from environments.sokoban import TILE, SokobanEnvironments, tiles
from environments.sokoban_levels import BOX_ON_TARGET, FLOOR, LETTERS, PLAYER, PLAYER_ON_TARGET, WALL, draw
from sources import demonstrate
from sources.experts import sokoban as experts
from sources.experts.interface import GaveUp, expert, has_expert
from sources.loading import load
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectories.parts import view

UP, DOWN, LEFT, RIGHT = range(4)
LEVEL = ("#######", "#     #", "# $ . #", "# @#  #", "#  $. #", "#     #", "#######")
BOXOBAN = ("##########", *["#        #"] * 6, "#@$$$$...#", "#       .#", "##########")


def board(lines: tuple[str, ...] | list[str]) -> np.ndarray:
    return np.array([[LETTERS.index(letter) for letter in line] for line in lines], np.uint8)


def begun(*lines: tuple[str, ...]) -> SokobanEnvironments:
    """A copy at the start of each level."""
    row = environment("sokoban-7x7")
    copies = SokobanEnvironments(row, len(lines), lambda seed: board(lines[seed]))
    copies.reset(range(len(lines)))
    return copies


def earned(copies: SokobanEnvironments, *actions: int) -> list[float]:
    """The rewards of the first copy, alone."""
    live = np.arange(copies.count) == 0
    return [float(copies.step(np.full(copies.count, action), live).rewards[0].round(3)) for action in actions]


# ---- rules ----------------------------------------------------------------------------------------------------------


def test_a_box_is_pushed_where_there_is_room_behind_it() -> None:
    copies = begun(LEVEL)
    earned(copies, UP, UP, RIGHT)  # against the upper wall: nothing happens
    assert LETTERS[copies.inside(0)[1, 2]] == "$"
    assert copies.inside(0)[2, 2] == FLOOR
    two = begun(("#######", "#@$$  #", "#   ..#", *["#     #"] * 3, "#######"))
    before = two.inside(0)
    assert earned(two, RIGHT, UP) == [-0.1, -0.1]
    np.testing.assert_array_equal(two.inside(0), before)


def test_rewards_are_those_of_gym_sokoban() -> None:
    copies = begun(("#######", "#@$.  #", "#.$   #", *["#     #"] * 3, "#######"))
    assert earned(copies, RIGHT, RIGHT) == [0.9, -1.1]
    assert copies.inside(0)[1, 3] == PLAYER_ON_TARGET
    assert copies.inside(0)[1, 2] == FLOOR
    copies.reset([0])
    assert earned(copies, RIGHT, LEFT, DOWN, DOWN, RIGHT, RIGHT, UP, LEFT) == [0.9, *[-0.1] * 6, 10.9]


def test_the_last_box_ends_the_episode_with_success() -> None:
    almost = ("#######", "#@$.  #", "#*    #", *["#     #"] * 3, "#######")
    copies = begun(almost, almost)
    step = copies.step(np.array([RIGHT, DOWN]), np.ones(2, bool))
    assert step.terminated.tolist() == [True, False]
    assert step.success is not None
    assert step.success.tolist() == [True, False]
    rows = step.observations.copy()
    later = copies.step(np.array([RIGHT, RIGHT]), np.array([False, True]))
    np.testing.assert_array_equal(later.observations[0], rows[0])
    assert (later.rewards[0], later.terminated[0], later.success is not None and later.success[0]) == (0, False, True)


def test_the_time_limit_cuts_off_an_episode_that_is_not_solved() -> None:
    copies = begun(LEVEL)
    steps = [copies.step(np.array([LEFT]), np.ones(1, bool)) for _ in range(200)]
    assert [step.truncated[0] for step in steps[-2:]] == [False, True]
    assert not any(step.terminated[0] for step in steps)
    assert (environment("sokoban-10x10").max_episode_steps, environment("sokoban-boxoban").actions) == (120, 4)


def test_copies_play_as_each_does_alone() -> None:
    together, actions = make("sokoban-7x7", 5), np.random.default_rng(0).integers(0, 4, (60, 5))
    rows = [together.reset(range(5))] + [together.step(each, np.ones(5, bool)).observations for each in actions]
    for copy in range(5):
        alone = make("sokoban-7x7", 1)
        own = [alone.reset([copy])] + [alone.step(each[[copy]], np.ones(1, bool)).observations for each in actions]
        np.testing.assert_array_equal(np.stack(own)[:, 0], np.stack(rows)[:, copy])


def test_an_action_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="has actions 0 to 3, and was given 4"):
        begun(LEVEL).step(np.array([4]), np.ones(1, bool))


def test_a_board_is_drawn_in_tiles() -> None:
    copies = begun(LEVEL)
    picture = copies.render(0)
    assert picture.shape == (7 * TILE, 7 * TILE, 3)
    assert len(np.unique(tiles().reshape(len(LETTERS), -1), axis=0)) == len(LETTERS)
    np.testing.assert_array_equal(picture[3 * TILE : 4 * TILE, 2 * TILE : 3 * TILE], tiles()[PLAYER])


# ---- levels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "boxes", "pulls"), [(7, 2, 100), (10, 4, 50)])
def test_a_drawn_level_is_walled_has_its_boxes_and_no_box_on_a_target(size: int, boxes: int, pulls: int) -> None:
    drawn = [draw(np.random.default_rng(seed), size, boxes, pulls) for seed in range(20)]
    for level in drawn:
        counts = np.bincount(level.reshape(-1), minlength=len(LETTERS))
        assert counts[2:].tolist() == [boxes, 0, boxes, 1, 0]
        assert (np.concatenate([level[[0, -1]], level.T[[0, -1]]]) == WALL).all()
    assert len({level.tobytes() for level in drawn}) == 20
    np.testing.assert_array_equal(draw(np.random.default_rng(3), size, boxes, pulls), drawn[3])


def test_more_pulls_make_harder_levels() -> None:
    lengths = []
    for pulls in (4, 100):
        drawn = [draw(np.random.default_rng(seed), 7, 2, pulls) for seed in range(40)]
        lengths.append(np.mean([len(experts.Solver(level).solve()) for level in drawn]))
    assert lengths[0] < lengths[1] - 2


@pytest.fixture
def files(own_cache: Path) -> Path:
    """Level files in the cache, where Boxoban's are looked for: a thousand levels, then two."""
    folder = own_cache / "boxoban-levels" / "unfiltered" / "train"
    folder.mkdir(parents=True)
    other = [*BOXOBAN[:7], "# @$$$$..#", "#      ..#", BOXOBAN[9]]
    for name, found in (("000.txt", [BOXOBAN, other] * 500), ("001.txt", [other, BOXOBAN])):
        texts = ["\n".join([f"; {number}", *lines]) for number, lines in enumerate(found)]
        (folder / name).write_text("\n\n".join(texts) + "\n")
    return folder


def test_a_seed_chooses_a_file_of_levels_and_a_level_in_it(files: Path) -> None:
    copies = make("sokoban-boxoban", 4)
    boards = copies.reset([0, 1, 1000, 2001]).reshape(4, 10, 10)
    players = [int(np.flatnonzero(each[7] == PLAYER)[0]) for each in boards]
    assert players == [1, 2, 2, 2]
    np.testing.assert_array_equal(boards[0], board(BOXOBAN))


def test_without_level_files_a_sentence_says_how_to_get_them() -> None:
    with pytest.raises(UserError, match=r"no level files in .*unfiltered/train: fetch .* `git clone https"):
        make("sokoban-boxoban", 1)


def test_a_name_may_have_other_levels_or_harder_ones(files: Path) -> None:
    own = files.parent / "own.txt"
    (files / "001.txt").rename(own)
    [first] = make(f'sokoban-boxoban?{{"levels": "{own}"}}', 1).reset([0])
    assert first.reshape(10, 10)[7, 2] == PLAYER
    hard, plain = (make(name, 1).reset([0]) for name in ('sokoban-7x7?{"pulls": 1000}', "sokoban-7x7"))
    assert not np.array_equal(hard, plain)
    assert environment('sokoban-7x7?{"pulls": 1000}').max_episode_steps == 200
    with pytest.raises(UserError, match="pushes = 5 is no option of Sokoban's: choose one of boxes, pulls"):
        make('sokoban-7x7?{"pushes": 5}', 1)
    with pytest.raises(UserError, match="has boxes = 4, where a level has 1 to 3"):
        make('sokoban-7x7?{"boxes": 4}', 1)


@pytest.mark.parametrize(
    ("line", "text", "problem"),
    [
        (3, "#        ##", "is not 10 lines of 10 cells"),
        (3, "#   x    #", "holds 'x'"),
        (3, "#         ", "is not all wall"),
        (7, "# $$$$...#", "has 0 players, 4 targets and 4 boxes"),
        (8, "#        #", "has 1 players, 3 targets and 4 boxes"),
    ],
)
def test_what_is_no_level_is_refused_in_a_sentence(files: Path, line: int, text: str, problem: str) -> None:
    lines = [*BOXOBAN[:line], text, *BOXOBAN[line + 1 :]]
    (files / "000.txt").write_text("\n".join(["; 0", *lines]))
    with pytest.raises(UserError, match=rf"000\.txt, level 0: it(s border)? {problem}.*: choose a file"):
        make("sokoban-boxoban", 1).reset([0])


def test_a_file_without_levels_is_refused_in_a_sentence(files: Path) -> None:
    (files / "000.txt").write_bytes(b"\xff")
    with pytest.raises(UserError, match="is no file of levels"):
        make("sokoban-boxoban", 1).reset([0])
    (files / "001.txt").write_text("# no level")
    with pytest.raises(UserError, match="holds no line that begins with a semicolon"):
        make("sokoban-boxoban", 1).reset([1000])


# ---- the expert -----------------------------------------------------------------------------------------------------


def fewest_moves(level: np.ndarray) -> int:
    """The length of the shortest solution, by looking at all boards in the order of moves."""
    walls = set(np.flatnonzero(level == WALL).tolist())
    targets = set(np.flatnonzero(np.isin(level, (2, 3, 6))).tolist())
    first = (int(np.flatnonzero(level >= PLAYER)[0]), frozenset(np.flatnonzero(np.isin(level, (3, 4))).tolist()))
    known, waiting = {first: 0}, deque([first])
    while waiting:
        player, boxes = state = waiting.popleft()
        if boxes == targets:
            return known[state]
        for move in levels.directions(level.shape[1]):
            ahead, beyond = player + move, player + 2 * move
            if ahead in walls or (ahead in boxes and (beyond in walls or beyond in boxes)):
                continue
            following = (ahead, (boxes - {ahead}) | {beyond} if ahead in boxes else boxes)
            if following not in known:
                known[following] = known[state] + 1
                waiting.append(following)
    raise AssertionError("no solution")


def test_the_expert_needs_the_fewest_moves() -> None:
    for seed in range(12):
        level = draw(np.random.default_rng(seed), 7, 2, 60)
        assert len(experts.Solver(level).solve()) == fewest_moves(level)


def test_with_few_boards_to_look_at_a_longer_solution_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experts, "BUDGETS", {1: 20, 2: 5_000})
    row = environment("sokoban-10x10")
    level = draw(np.random.default_rng(0), 10, 4, 60)
    copies = SokobanEnvironments(row, 1, lambda seed: level)
    copies.reset([0])
    assert experts.Solver(level).search(1, 20) is None
    steps = [copies.step(np.array([action]), np.ones(1, bool)) for action in experts.Solver(level).solve()]
    assert [bool(step.terminated[0]) for step in steps] == [*[False] * (len(steps) - 1), True]


@pytest.mark.parametrize("boxes", [("#$    #", "#   $ #"), ("#  $$ #", "#     #")])
def test_the_expert_gives_up_what_cannot_be_solved(boxes: tuple[str, str]) -> None:
    lines = ("#######", *boxes, "#@    #", "# ..  #", "#     #", "#######")
    planner = expert(environment("sokoban-7x7"))
    planner.begin(board(lines), board(lines).reshape(-1), np.random.default_rng(0))
    with pytest.raises(GaveUp):
        planner.act(board(lines), board(lines).reshape(-1))


def test_every_task_has_an_expert_that_solves_it(files: Path) -> None:
    for name in ("sokoban-7x7", "sokoban-10x10", "sokoban-boxoban"):
        assert has_expert(environment(name))
    episode = demonstrate.play("sokoban-7x7", 0, 0)
    assert episode is not None
    assert (episode.success, episode.terminated) == (True, True)
    assert np.count_nonzero(episode.observations[-1] == BOX_ON_TARGET) == 1


def test_demonstrations_solve_a_level_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.processes.processors", lambda: 1)
    data = load("sokoban-7x7", source="collected", steps=60)
    assert data.origin.details["metadata"]["success_rate"] == 1
    boards = view(data.observations, data.spec.parts)["board"]
    assert boards.shape == (len(data), 7, 7)
    assert len(np.unique(boards[data.starts[:-1]], axis=0)) == data.episodes > 2
