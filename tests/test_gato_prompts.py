"""The value of a demonstration: one set of weights measured under several prompts, and the page about it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import prompts as measuring
from experiments import report, run
from report import prompts, store, table
from tests.test_mixture import SMALL
from training import replay
from training.checkpoint import load_model, save_rounded
from training.run_lock import WEIGHTS
from trajectories.errors import UserError


def trained(runs: Path, *more: str) -> Path:
    run.main([*SMALL, "--env", "toy-medium", "--results-dir", str(runs), *more])
    (made,) = runs.iterdir()
    return made


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJECTORIES_DIR", str(tmp_path_factory.mktemp("data")))
        return trained(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def finished(original: Path, tmp_path: Path) -> Path:
    """A run of its own for each test, in a repository of its own."""
    return Path(shutil.copytree(original, tmp_path / "results" / "runs" / original.name))


def test_every_prompt_is_played_on_the_run_s_own_episodes(finished, monkeypatch):
    acted, evaluate = [], replay.evaluate
    monkeypatch.setattr(
        replay, "evaluate", lambda model, *rest: acted.append(model.config.prompt) or evaluate(model, *rest)
    )
    measuring.main(measuring.Options(finished))
    assert acted == ["none", "end", "uniform", "best"]
    record, (kept,) = store.read_record(finished), prompts.read_all(finished.parent)
    assert [each.prompt for each in kept[1].prompted] == ["none", "end", "uniform", "best"]
    assert kept[1].seeds == record.protocol.seeds
    best = kept[1].prompted[-1].played
    assert best == record.evaluations[0]  # which was played under the same prompt


def test_prompts_of_rounded_weights_say_so_where_they_are_kept(finished):
    measuring.main(measuring.Options(finished, prompts=("none",), episodes=1))
    assert "weights" not in prompts.read(finished).versions
    save_rounded(finished, load_model(finished))
    for name in (WEIGHTS, prompts.PROMPTS):
        (finished / name).unlink()
    measuring.main(measuring.Options(finished, prompts=("none",), episodes=1))
    assert prompts.read(finished).versions["weights"] == "bfloat16"


def test_what_was_measured_is_not_measured_again(finished, monkeypatch, capsys):
    measuring.main(measuring.Options(finished, prompts=("none",)))
    before = (finished / prompts.PROMPTS).read_bytes()
    monkeypatch.setattr(measuring, "measure", lambda *_: pytest.fail("it was measured again"))
    measuring.main(measuring.Options(finished))
    assert "measured already" in capsys.readouterr().out
    assert (finished / prompts.PROMPTS).read_bytes() == before


def test_a_demonstration_of_one_s_own_is_called_by_its_file_s_name(finished, tmp_path):
    np.savez(tmp_path / "mine.npz", observations=np.ones((3, 2)), actions=np.zeros((3, 1)))
    measuring.main(measuring.Options(finished, prompts=("none", str(tmp_path / "mine.npz"))))
    kept = prompts.read(finished)
    assert [each.prompt for each in kept.prompted] == ["none", "mine.npz"]
    assert kept.command == f"python experiments/prompts.py results/runs/{finished.name} --prompts none mine.npz"


def test_a_run_of_several_tasks_is_measured_on_the_one_that_is_named(tmp_path):
    made = trained(tmp_path / "runs", "--env", "toy-medium", "toy-expert")
    measuring.main(measuring.Options(made, env="toy-expert", prompts=("best",), episodes=2))
    record = store.read_record(made / "toy-expert")
    assert prompts.read(made / "toy-expert").prompted[0].played == record.evaluations[0]
    assert "--env toy-expert" in prompts.read(made / "toy-expert").command


def test_the_report_writes_a_line_for_each_prompt_and_knows_when_it_is_stale(finished, capsys):
    measuring.main(measuring.Options(finished))
    options = report.Options(finished.parent, figures=False)
    report.main(options)
    page = (options.results / prompts.PAGE).read_text(encoding="utf-8")
    lines = [line.split(" | ")[4:8] for line in page.splitlines() if line.startswith("| toy-medium")]
    record, kept = store.read_record(finished), prompts.read(finished)
    assert lines == [
        [
            each.prompt,
            f"{np.mean(each.played.returns):.0f}",
            "20",
            f"{each.played.normalized:.1f} ± {record.protocol.score(each.played.returns).std(ddof=1) / 2**0.5:.1f}",
        ]
        for each in kept.prompted
    ]
    assert record.command in page
    prompts.write(finished, replace(kept, prompted=kept.prompted[:1]))
    assert report.main(replace(options, check=True)) == 1
    assert prompts.PAGE in capsys.readouterr().out


def test_the_page_has_no_prompts_where_none_were_measured(finished):
    files = report.texts(report.Options(finished.parent), table.report([]), [])
    assert prompts.PAGE not in {path.name for path in files}


@pytest.mark.parametrize(
    ("options", "words"),
    [({"prompts": ("worst",)}, "--prompts has 'worst'"), ({"episodes": 0}, "--episodes is 0")],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_played(finished, options, words, monkeypatch):
    monkeypatch.setattr(measuring, "measure", lambda *_: pytest.fail("it was measured"))
    with pytest.raises(UserError, match=words):
        measuring.main(measuring.Options(finished, **options))


def test_a_model_that_takes_no_prompts_is_refused(tmp_path):
    run.main(["--model", "bc", "--env", "toy-medium", "--steps", "400", "--source", "collected", "--updates", "2",
              "--episodes", "2", "--width", "16", "--threads", "1", "--results-dir", str(tmp_path)])  # fmt: skip
    (made,) = tmp_path.iterdir()
    with pytest.raises(UserError, match="bc takes no prompts"):
        measuring.main(measuring.Options(made))


@pytest.mark.parametrize("damage", ["half", "field"])
def test_a_damaged_file_is_named_and_left_out(finished, damage, capsys):
    measuring.main(measuring.Options(finished, prompts=("none",)))
    path = finished / prompts.PROMPTS
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) // 2] if damage == "half" else text.replace('"seconds"', '"hours"'))
    assert prompts.read_all(finished.parent) == []
    assert f"Left out: {path}: damaged" in capsys.readouterr().err


def test_a_measurement_without_its_record_is_named_and_left_out(finished, capsys):
    measuring.main(measuring.Options(finished, prompts=("none",)))
    (finished / store.RECORD).unlink()
    assert prompts.read_all(finished.parent) == []
    assert "no such record" in capsys.readouterr().err


@pytest.mark.parametrize("other", [{"prompts": ("best",)}, {"episodes": 1}])
def test_other_prompts_than_were_measured_are_refused_and_not_ignored(finished, other):
    measuring.main(measuring.Options(finished, prompts=("none",)))
    with pytest.raises(UserError, match="has none in 2 episodes: remove it to measure all anew, or leave --p"):
        measuring.main(measuring.Options(finished, **other))
    measuring.main(measuring.Options(finished, prompts=("none",), episodes=2))


def test_a_task_that_is_answered_takes_no_prompts(finished):
    answered = replace(store.read_record(finished), family="pairs", dataset="easy-vqa", env="easy-vqa")
    with pytest.raises(UserError, match="easy-vqa is answered, and takes no prompts"):
        measuring.check(measuring.Options(finished), load_model(finished), answered)
