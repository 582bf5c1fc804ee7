"""What the tests of several rooms share: the real files, and a cache of their own."""

from pathlib import Path

import hypothesis
import pytest
import torch

from tests.skips import pytest_sessionfinish, pytest_unconfigure, recorded

__all__ = ["pytest_sessionfinish", "pytest_unconfigure"]  # hooks

hypothesis.settings.register_profile("house", deadline=None)  # no test may fail for being slow
hypothesis.settings.load_profile("house")
torch.set_num_threads(1)  # the tests' tensors are tiny, and threads that wait for a busy core cost minutes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--model", help="package.module:Class: tests/test_models.py on a model of yours")


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of pieces of D4RL's own files."""
    return recorded("d4rl/hopper_medium-v2.hdf5").parent


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRAJECTORIES_DIR", str(folder))
    return folder
