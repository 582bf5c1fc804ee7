"""Demonstrations: a family of tasks as a file, its expert's episodes as a data set, and success on every way."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from environments import toy
from environments.interface import Step
from environments.make import make
from report.cell_text import measured
from report.grid import rows
from report.store import Evaluation
from report.table import report
from sources import demonstrate
from sources.data_report import score
from sources.description import describe
from sources.experts.interface import GaveUp
from sources.inventory import sources_of
from sources.loading import load
from tests.records import made_up
from training.evaluate import play
from training.record import behavior
from trajectories import catalog
from trajectories import rows as catalog_rows
from trajectories.errors import UserError

FAMILY = """
[environment]
family = "line"
gym_id = ""
max_episode_steps = 20
observation_shape = [2]
action_shape = [1]

[environments.line-walk]

[datasets.line-walk]
env = "line-walk"
collected_episodes = 5
"""
MEASURED = "[line-walk]\nrandom_return = 2.0\nexpert_return = 12.0\n"


class Walk(toy.ToyEnvironments):
    """The toy, solved once its return passes 3."""

    def reset(self, seeds, only=None):
        self.earned = np.zeros(self.count)
        return super().reset(seeds, only)

    def step(self, actions, live):
        step = super().step(actions, live)
        self.earned += step.rewards
        return Step(*step[:4], success=self.earned > 3)

    def inside(self, index):
        return self


class Walker:
    def begin(self, environment, observation, generator):
        self.generator, self.steps = generator, 0
        self.gives_up = environment.inside(0) is environment and generator.random() < 0.3

    def act(self, environment, observation):
        self.steps += 1
        if self.gives_up and self.steps == 3:
            raise GaveUp
        return np.array([0.5 + 0.1 * self.generator.standard_normal()])


@pytest.fixture
def family(tmp_path, monkeypatch):
    """A family `line` of one task, with an expert that gives up now and then."""
    folder = tmp_path / "families"
    (folder / "measured").mkdir(parents=True)
    (folder / "line.toml").write_text(FAMILY)
    (folder / "measured" / "line.toml").write_text(MEASURED)
    monkeypatch.setattr(catalog_rows, "FAMILIES", folder)
    monkeypatch.setattr(catalog_rows, "MEASURED", folder / "measured")
    environments, expert = ModuleType("environments.line"), ModuleType("sources.experts.line")
    environments.create = lambda row, count, *_: Walk(row.spec(), count)
    expert.VERSION, expert.has_expert, expert.expert = 1, lambda row: True, lambda row: Walker()
    for module in (environments, expert):
        module.__spec__ = type(sys.__spec__)(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    caches = (catalog_rows.families, catalog_rows.environment_rows, catalog_rows.dataset_rows, demonstrate._playing)
    for each in caches:
        each.cache_clear()
    yield
    monkeypatch.undo()
    for each in caches:
        each.cache_clear()


def test_a_family_is_a_file_of_rows_with_its_measured_scores(family):
    row = catalog.dataset("line-walk")
    assert (row.environment.max_episode_steps, row.environment.random_score, row.environment.expert_score) == (
        20,
        2,
        12,
    )
    assert sources_of(row) == ("collected",)
    assert row.environment.upstream_physics_only


def test_a_task_without_measured_scores_says_so(family, tmp_path):
    (tmp_path / "families" / "measured" / "line.toml").unlink()
    catalog_rows.families.cache_clear()
    catalog_rows.environment_rows.cache_clear()
    assert "no reference scores" in catalog.environment("line-walk").caveat


def test_demonstrations_are_whole_episodes_of_the_expert(family, tmp_path):
    data = load("line-walk", data_dir=tmp_path / "cache")
    assert data.origin.source == "collected"
    assert data.episodes == 5
    assert data.finished.all()
    assert (data.lengths == 20).all()
    about = data.origin.details
    assert about["expert"] == "line 1"
    assert about["metadata"]["dropped"] > 0
    assert 0 < about["metadata"]["success_rate"] <= 1


def test_the_same_seed_gives_the_same_demonstrations(family, tmp_path):
    first, second, other = (load("line-walk", data_dir=tmp_path / f"{n}", seed=n // 2) for n in range(3))
    assert first.origin.digest == second.origin.digest != other.origin.digest


def test_a_demonstration_ends_some_steps_after_its_first_success(family):
    whole = [demonstrate.play("line-walk", 0, number) for number in range(8)]
    cut = [demonstrate.play("line-walk", 0, number, after_success=2) for number in range(8)]
    for one, other in zip(whole, cut, strict=True):
        if one is None or not one.success:
            assert other is None
        else:
            first = int(np.argmax(np.cumsum(one.rewards.astype(np.float64)) > 3))
            np.testing.assert_array_equal(other.observations, one.observations[: first + 3])
            assert other.success
            assert not other.terminated
    assert any(other is not None and len(other) < 20 for other in cut)


def test_demonstrations_that_were_cut_have_no_score_beside_whole_episodes(family, tmp_path):
    data = load("line-walk", data_dir=tmp_path / "cache")
    row = catalog.environment("line-walk")
    assert behavior(data, row).normalized is not None
    cut = data.with_details({"after_success": 2})
    assert behavior(cut, row).normalized is None
    assert score(cut) == ", of other episodes or rewards"
    assert "end 2 steps after they first succeed" in describe(cut)


def test_an_expert_that_always_gives_up_is_an_error(family, tmp_path, monkeypatch):
    monkeypatch.setattr(Walker, "act", lambda *_: (_ for _ in ()).throw(GaveUp))
    with pytest.raises(UserError, match="gave up or failed in 11 of 11 episodes"):
        demonstrate.collect("line-walk", tmp_path / "file.hdf5")
    assert not list(tmp_path.glob("*.hdf5"))


def test_success_is_kept_for_each_episode_that_is_played(family):
    class Still:
        def act(self, observations, rewards, live):
            return np.linspace(0, 1, len(live))[:, None].astype(np.float32)

    played = play(Still(), make("line-walk", 4), range(4))
    assert played.success.tolist() == (played.returns > 3).tolist()
    assert played.success.any()
    assert not played.success.all()


def test_success_is_what_a_table_shows_where_it_is_known():
    success = (True, True, True, False)
    evaluation = Evaluation(None, (1.0, 1.0, 1.0, 0.0), (5, 5, 5, 5), 12.0, success)
    data = {"digest": "0", "metadata": {"success_rate": 0.875}}
    record = replace(made_up(), evaluations=(evaluation,), data=data)
    (table,) = report([record]).scores
    assert table.kind == "Success"
    assert table.rows[0][2].main == "87.5"
    assert measured(rows([record])[0].cells[record.column]).main == "75.0"
