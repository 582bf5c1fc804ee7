"""benchmarks/: one command, one table. What is measured is never judged here; no test is timed."""

import json
import pickle
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import collecting, mixture, shares
from benchmarks.atari import acting
from benchmarks.data import UNPICKLED, opened, warm
from benchmarks.evaluation import together
from benchmarks.gato import gpt_update
from gato import Config, Gato
from report.prose import read_figures
from sources import collect
from trajectories.catalog import dataset
from trajectories.errors import UserError

ROW = {"what": "adding", "ours": "1 ms", "peer": "20 ms", "ratio": 20.0, "note": "made up"}


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Every benchmark returns at once; the page is written elsewhere."""
    imported: list[str] = []

    def import_module(name):
        imported.append(name.removeprefix("benchmarks."))
        return SimpleNamespace(measure=lambda: [ROW])

    monkeypatch.setattr(command.importlib, "import_module", import_module)
    monkeypatch.setattr(command, "FIGURES", tmp_path / "cpu.json")
    monkeypatch.setattr(command, "PAGE", tmp_path / "README.md")
    return imported


def test_the_command_measures_everything_and_writes_the_page(made_up, tmp_path, capsys):
    command.main(command.Options())
    page = (tmp_path / "README.md").read_text()
    assert tuple(made_up) == command.NAMES
    assert page.count("| adding ") == capsys.readouterr().out.count("| adding ") == len(command.NAMES)
    assert page.count("torch 2") == page.count("threads ") == page.count("## ") == len(command.NAMES)
    assert "Not measured yet" not in page


def test_only_what_is_named_is_imported_and_no_page_is_written(made_up, tmp_path):
    command.main(command.Options(names=("planner", "data")))
    assert made_up == ["planner", "data"]
    assert list(tmp_path.iterdir()) == []


def test_a_part_measured_again_takes_the_place_of_its_older_figures_alone(made_up, tmp_path, monkeypatch):
    command.main(command.Options(names=("planner", "data"), write=True))
    again = SimpleNamespace(measure=lambda: [{**ROW, "ratio": 30.0}])
    monkeypatch.setattr(command.importlib, "import_module", lambda name: again)
    command.main(command.Options(names=("data",), write=True))
    page = (tmp_path / "README.md").read_text()
    assert re.findall("^## (.+)", page, re.MULTILINE) == ["data", "planner"]
    assert re.findall(r"\| (\d+) +\| made up", page) == ["30", "20"]
    assert "Not measured yet: `waiting`, `collecting`, `atari`" in page


def test_numbers_in_prose_are_found_in_the_figures(made_up, tmp_path):
    command.main(command.Options(names=("data",), write=True))
    assert read_figures(tmp_path)["adding"]["ratio"] == 20.0


def test_other_programs_read_the_rows_as_json(made_up, capsys):
    command.main(command.Options(names=("planner",), json=True))
    read = json.loads(capsys.readouterr().out)
    assert read["rows"] == [ROW]
    assert read["machine"]["threads"] >= 1


def test_a_peer_that_is_not_installed_is_named_with_what_brings_it(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'transformers'", name="transformers")

    monkeypatch.setattr(command.importlib, "import_module", missing)
    with pytest.raises(UserError, match=r"transformers: pip install -r requirements-dev\.txt"):
        command.measured("data")


def test_the_command_knows_every_file_that_measures():
    files = {path.stem for path in command.FIGURES.parent.glob("*.py") if "def measure()" in path.read_text()}
    assert files == set(command.NAMES)


def test_data_recorded_by_all_processors_are_those_recorded_by_one(monkeypatch):
    monkeypatch.setattr("sources.processes.processors", lambda: 3)
    monkeypatch.setattr(collect, "MANY", 0)
    row = collecting.row("hopper", steps=300, rounds=1)  # which raises where the files differ
    assert isinstance(row["ratio"], float)
    assert row["what"] == "recording 300 steps of hopper-medium"


def test_opening_again_is_compared_with_unpickling(tmp_path):
    kept = tmp_path / "kept.pkl"
    kept.write_bytes(pickle.dumps([{"rewards": np.zeros(10)}]))
    peer = opened(UNPICKLED, kept)
    row = warm([({"seconds": peer["seconds"] / 2, "megabytes": 0.0}, peer)])
    assert row["ratio"] == pytest.approx(2)
    assert "memory maps against a pickled list" in str(row["note"])


def test_episodes_played_together_are_compared_with_episodes_played_alone():
    rows = together(episodes=3, steps=2, alone=1)
    assert all(isinstance(row["ratio"], float) for row in rows)
    assert [row["what"] for row in rows] == [
        "DT: 3 evaluation episodes of 2 steps, against transformers' port one after the other",
        "DT: 3 evaluation episodes of 2 steps, against ours one after the other",
    ]


def test_tasks_learned_together_are_compared_with_each_alone():
    data = [mixture.noise_of(replace(dataset(name).environment.spec(), name=name), 200) for name in mixture.TASKS[1:3]]
    config = Config(width=16, heads=2, head_width=8, hidden=32, batch_size=8, context_tokens=128, tasks_per_update=2)
    alone = [mixture.Training(Gato(config, each.spec), each) for each in data]
    row = mixture.row(config, data, alone, rounds=1)
    assert isinstance(row["ratio"], float)
    assert row["what"] == "Gato: training on 2 tasks at once, 2 draws of a task an update"
    tokens = int(alone[0].done.tokens)
    assert 0 < tokens <= 3 * 8 * 128  # two updates at first and one in the round
    with_babyai = alone[1].model.count_tokens(alone[1].model.sample(data[1], np.random.default_rng(0)))
    assert 0 < int(with_babyai) <= 8 * 128


def test_games_played_together_are_compared_with_games_played_alone():
    pytest.importorskip("ale_py", reason="ale-py is not here, which brings the games: pip install -r requirements.txt")
    rows = acting(games=2, turns=2, alone=1)
    assert all(isinstance(row["ratio"], float) for row in rows)
    assert [row["what"] for row in rows] == [
        "DT: 2 games of 2 steps of Breakout, against ours one after the other",
        "DT: 2 games of 2 steps of Breakout, against one after the other with all frames encoded again",
    ]


def test_the_shares_of_an_update_are_of_all_of_its_time():
    data = shares.noise(1_000)
    model = Gato(Config(width=16, heads=2, head_width=8, hidden=32, batch_size=4), data.spec)
    row = shares.row("Gato: an update", model, data, updates=1)
    named = dict(re.findall(r"([a-z ]+) (\d+)%", str(row["note"])))
    assert set(map(str.strip, named)) == {*shares.GROUPS, shares.OTHER}
    assert sum(map(int, named.values())) == pytest.approx(100, abs=len(named))
    assert int(named["products"]) == pytest.approx(100 * float(str(row["ratio"])), abs=1)


def test_the_gpt_beside_gato_learns():
    work = gpt_update(Config(width=16, heads=2, head_width=8, hidden=32, batch_size=2, context=3), ids=7)
    losses = [work() for _ in range(30)]
    assert losses[-1] < losses[0]
