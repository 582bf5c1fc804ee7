"""Playing a finished run: it shows the episodes that were measured."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from environments.make import make
from experiments import play
from report import store
from tests.records import made_up
from training import plan_pictures, watch
from training.evaluate import episode_seeds
from training.evaluate import play as play_episodes
from training.run_lock import CARD, WEIGHTS
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectory_transformer.config import Config
from trajectory_transformer.model import TrajectoryTransformer

TARGETS = (18.0, 6.0)


class Walker:
    """Stands in for a trained model: it walks the toy's line at the target speed, faster further on."""

    spec = environment("toy").spec()

    def player(self, episodes: int, target_return: float, seed: int = 0) -> Any:
        return SimpleNamespace(act=lambda observations, rewards, live: target_return / 50 + observations[:, :1])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run on the toy environment, whose two recorded evaluations the Walker has played."""
    record = made_up(dataset="toy-medium", targets=TARGETS, episodes=3)
    protocol = replace(record.protocol, environment="", seeds=episode_seeds(3), random_score=0.0, expert_score=20.0)
    environments = make("toy", 3)
    evaluations = []
    for target in TARGETS:
        played = play_episodes(Walker().player(3, target), environments, protocol.seeds)
        score = protocol.score(played.returns).mean()
        evaluations.append(store.Evaluation.of(target, played.returns, played.lengths, score))
    record = replace(record, env="toy", protocol=protocol, evaluations=tuple(evaluations))
    folder = tmp_path / "runs" / record.name
    store.write_record(folder, record)
    for name in (WEIGHTS, CARD):
        (folder / name).touch()
    monkeypatch.setattr(watch, "load_model", lambda folder, device, model=None: Walker())
    return folder


def test_an_episode_is_shown_as_it_was_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = store.read_record(run).evaluations[0]
    play.main(play.Options(run, episodes=2, seed=1))
    assert f"{recorded.returns[1]:.1f}" != f"{recorded.returns[2]:.1f}"  # or one could be taken for the other
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("episode")]
    assert lines == [
        f"episode {number}: return {recorded.returns[number]:.1f}, 20 steps, score {5 * recorded.returns[number]:.1f}"
        for number in (1, 2)
    ]


def test_another_target_return_can_be_given(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slower = store.read_record(run).evaluations[1].returns[0]
    play.main(play.Options(run, target_return=6.0))
    assert f"target return 6\nepisode 0: return {slower:.1f}, 20 steps" in capsys.readouterr().out


def test_a_video_holds_a_picture_of_every_step_and_nothing_else_is_left(run: Path, tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    video = tmp_path / "toy.mp4"
    play.main(play.Options(run, video=video, episodes=2))
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(video))
    assert frames == 2 * (20 + 1)  # each episode's start and its steps
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "toy.mp4"]


@pytest.mark.parametrize(("name", "speed"), [("CartPole-v1", 50), ("Pendulum-v1", 20), ("sokoban-7x7", 10)])
def test_a_video_is_as_fast_as_the_environment_says(name: str, speed: float, tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    environments = make(name, 1, render_mode="rgb_array")
    with watch.camera(tmp_path / "film.mp4", environments) as film:
        assert film is not None
        film.reset((0,))
    frames = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    assert next(frames)["fps"] == speed
    environments.close()


def test_an_episodes_mission_is_shown() -> None:
    pytest.importorskip("minigrid", reason="needs minigrid")
    levels: Any = make("babyai-go-to-local", 1)
    levels.reset((3,))
    assert watch.texts(levels, 3) == f', mission "{levels.inside(0).mission}"'
    assert watch.texts(make("toy", 1), 3) == ""


def test_a_video_that_cannot_be_finished_leaves_nothing_behind(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setattr(watch.Film, "step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        play.main(play.Options(run, video=tmp_path / "toy.mp4"))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_filming_changes_no_episode(run: Path) -> None:
    environments = make("toy", 1)
    frames: list[np.ndarray] = []
    walker: Any = Walker()
    film = watch.Film(environments, frames.append, every=7)
    filmed = play_episodes(walker.player(1, 18.0, 5), film, (5,))
    plain = play_episodes(walker.player(1, 18.0, 5), environments, (5,))
    assert (filmed.returns, filmed.lengths) == (plain.returns, plain.lengths)
    assert len(frames) == 1 + 2 + 1  # the start, steps 7 and 14, and the last


def test_a_file_of_a_run_is_answered_with_its_folder(run: Path) -> None:
    with pytest.raises(UserError, match=f"is a file of a run: give its folder, {run}"):
        play.finished(run / store.RECORD)


def test_a_run_that_is_not_there_is_answered_with_those_that_are(run: Path) -> None:
    with pytest.raises(UserError, match=f"did you mean {run.name}"):
        play.finished(run.with_name(run.name[:-1]))
    with pytest.raises(UserError, match=r"experiments/run\.py"):
        play.finished(run / "nowhere" / "at-all")


def test_an_unfinished_run_says_how_it_goes_on(run: Path) -> None:
    (run / store.RECORD).unlink()
    with pytest.raises(UserError, match="run its command again"):
        play.finished(run)


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_a_run_without_weights_gives_the_command_that_trains_them(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(UserError, match=f"{name} is not .*: remove it, .*--model dt --env toy-medium .*--results-dir"):
        play.finished(run)


@pytest.mark.parametrize(
    "options",
    [{"episodes": 0}, {"seed": -1}, {"video": "film.gif"}, {"video": "no/such/folder/film.mp4"}, {"plans": "p.gif"}],
    ids=lambda options: "-".join(options),
)
def test_what_cannot_be_meant_is_refused_before_anything_is_played(
    run: Path, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {name: run / value if isinstance(value, str) else value for name, value in options.items()}
    monkeypatch.setattr(watch, "load_model", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(UserError, match=f"--{next(iter(options))}"):
        play.main(play.Options(run, **options))


def test_where_nothing_can_be_drawn_the_message_says_what_to_install(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    environments = make("toy", 1)
    monkeypatch.setattr(type(environments), "render", lambda *_: (_ for _ in ()).throw(ImportError("no EGL")))
    with pytest.raises(UserError, match="libegl1"):
        play.main(play.Options(run, video=tmp_path / "toy.mp4"))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_without_ffmpeg_the_message_says_what_to_install(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match="pip install imageio-ffmpeg"):
        play.main(play.Options(run, video=tmp_path / "toy.mp4"))


def test_plans_are_drawn_over_what_happened(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    environments = make("toy", 1)
    config = Config(
        context=4, width=16, layers=1, heads=2, bins=7, horizon=3, beam_width=4, planning_context=4, plan_every=2
    )
    monkeypatch.setattr(watch, "load_model", lambda *_: TrajectoryTransformer(config, environments.spec).eval())
    play.main(play.Options(run, plans=tmp_path / "plans.png"))
    assert (tmp_path / "plans.png").read_bytes().startswith(b"\x89PNG")
    assert "plans.png: 10 plans" in capsys.readouterr().out  # one every other of 20 steps
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plans.png", "runs"]


def test_a_plan_is_kept_with_the_step_that_it_begins_at_and_compared_with_what_came() -> None:
    plans = plan_pictures.Plans()
    plans.seen = [np.array([float(step), 0.0]) for step in range(5)]
    plans.made = [(1, np.array([[1.0, 0.0], [3.0, 0.0]])), (4, np.array([[4.0, 0.0], [9.0, 0.0]]))]
    plans.made += [(2, np.full((2, 2), np.nan))]  # it ends at once
    deviation = np.sqrt(2.0)  # of 0 ... 4
    np.testing.assert_allclose(plans.error(), [0, (3 - 2) / deviation / 2])  # nothing came after the last step


def test_a_model_that_plans_nothing_has_no_plans_to_draw(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--plans"):
        play.main(play.Options(run, plans=tmp_path / "plans.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize(
    "other",
    [{"video": Path("a.mp4")}, {"episodes": 3}, {"seed": 2}, {"target_return": 6.0}, {"env": "toy-expert"}],
    ids=lambda other: next(iter(other)),
)
def test_a_grid_of_tasks_takes_no_options_of_one_of_them(run: Path, other: dict[str, Any]) -> None:
    (name,) = other
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')} is .* but --grid shows all tasks"):
        play.main(play.Options(run, grid=run / "grid.png", **other))


def test_data_of_ones_own_are_refused_where_a_run_is_played(run: Path) -> None:
    with pytest.raises(UserError, match="--path mine: toy-medium is played, and reads no data"):
        play.main(play.Options(run, path=Path("mine")))
