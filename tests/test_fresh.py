"""experiments/fresh.py: a record is stale when what decides its numbers has changed, and only then."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import fresh, provenance
from results.store import Record
from tests.records import made_up

CODE = """
'''A model.'''

class Model:
    width: int = 3
    '''numbers'''

    def double(self, number):
        '''Twice.'''
        return 2 * number  # not three times
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Record]:
    """A repository of the smallest model; writes a file of it, and gives a record of what was there at first."""
    fresh.meaning.cache_clear()
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    for folder in (*fresh.SHARED[:3], "experiments", "decision_transformer", "gato"):
        (tmp_path / folder).mkdir()
    (tmp_path / "decision_transformer" / "model.py").write_text(CODE)
    (tmp_path / "trajectories" / "rows.toml").write_text("horizon = 1000  # steps\n")
    (tmp_path / "trajectories" / "policy.safetensors").write_bytes(b"\xc0")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "Begin")):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)
    first = provenance.git("rev-parse", "HEAD")

    def written(name: str, text: str) -> Record:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
        return replace(made_up(model="dt"), commit=first, dirty=False, command="")

    return written


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("decision_transformer/model.py", CODE.replace("Twice", "Two times").replace("not three times", "of course")),
        ("decision_transformer/model.py", CODE.replace("numbers", "of a layer").replace("A model", "The model")),
        ("decision_transformer/README.md", "Words."),
        ("trajectories/policy.safetensors", "\xc1"),
        ("trajectories/rows.toml", "# how long\nhorizon = 1_000\n"),
        ("gato/model.py", "width = 7\n"),
    ],
)
def test_words_and_other_models_make_no_record_stale(repository: Callable, name: str, text: str) -> None:
    assert fresh.stale([repository(name, text)]) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("decision_transformer/model.py", CODE.replace("2 *", "3 *")),
        ("decision_transformer/model.py", CODE.replace("= 3", "= 4")),
        ("trajectories/rows.toml", "horizon = 300\n"),
    ],
)
def test_other_code_and_other_rows_make_a_record_stale(repository: Callable, name: str, text: str) -> None:
    record = repository(name, text)
    assert fresh.stale([record]) == {record.name: [f"code has changed since: {name}"]}


def test_what_git_does_not_know_is_not_called_stale(repository: Callable) -> None:
    record = repository("decision_transformer/model.py", "")
    assert fresh.stale([replace(record, commit="0" * 40)]) == {}


def test_a_command_that_means_other_settings_today_makes_a_record_stale(repository: Callable) -> None:
    record = repository("gato/model.py", "")
    command = "python experiments/run.py --model dt --env hopper-medium"
    (why,) = fresh.stale([replace(record, command=command)])[record.name]
    assert why.startswith("its command now means")
    assert "updates 6000" in why
