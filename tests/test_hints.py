"""A name that does not exist is answered with what was meant, in a sentence that is true and says what to type."""

import re
import sys

import gymnasium
import pytest

from sources.loading import Request, load
from training.settings import parse
from trajectories.catalog import dataset, environment
from trajectories.errors import UserError, did_you_mean


def answer(name: str) -> str:
    """The sentence about the name of a data set, or after an @ of an environment."""
    with pytest.raises(UserError) as caught:
        environment(name[1:]) if name.startswith("@") else dataset(name)
    assert len(str(caught.value)) <= 500
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_case_underscores_and_a_version_make_no_name_less_near() -> None:
    known = ["hopper-medium", "hopper-medium-v0", "hopper-expert", "ms_pacman", "Hopper-v4"]
    assert did_you_mean("hoper-medium-v2", known) == "did you mean hopper-medium?"
    assert did_you_mean("Hopper_Medium", known) == "did you mean hopper-medium?"
    assert did_you_mean("hoper-medium-v0", known).startswith("did you mean hopper-medium-v0")
    assert did_you_mean("Ms-Pacman", known) == "did you mean ms_pacman?"
    assert did_you_mean("hopper", known).startswith("did you mean Hopper-v4")


def test_without_a_like_name_all_are_listed_if_they_are_few() -> None:
    assert did_you_mean("xyz", ["dt", "tt"]) == "choose one of dt, tt."
    assert did_you_mean("xyz", map(str, range(1000)), "see the list.") == "see the list."


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hoper-medium-v2", "did you mean hopper-medium?"),
        (
            "my/hopper-medium-v2.hdf5",
            "is a file, not a data set: give it with --path, and with --task its env",
        ),
        ("hopper-mixed-v0", "D4RL calls hopper-mixed-v0 hopper-medium-replay now: choose hopper-medium-replay-v0,"),
        ("walker-mixed", "D4RL calls walker-mixed walker2d-medium-replay now"),
        ("ALE/Breakout-v5", "is an environment, not a data set: choose breakout, or"),
        ("BreakoutNoFrameskip-v4", "is an environment, not a data set: choose breakout, or"),
        ("Breakout", "did you mean breakout?"),
        ("CartPole-v1", "not a data set: give a file of yours with --path FILE --task CartPole-v1."),
        ("Hopper-v4", "choose hopper-random, hopper-medium, .* and 2 more, or .* --path FILE --task Hopper-v4."),
        ("hopper", "is an environment, not a data set: choose hopper-random, hopper-medium,"),
        ("hopper-medium-v3", "did you mean hopper-medium or hopper-medium-v0"),
        ("D4RL/hopper/none-v2", "is not among Minari's data sets .*: minari download D4RL/hopper/none-v2 fetches it"),
        ("@Pendulum", "did you mean Pendulum-v1?"),
        ("@hopper-medium-v2", "is a data set, not an environment: choose its own, hopper."),
        ("@Hopper-v9", "did you mean hopper or Hopper-v4 or Hopper-v5"),
        ("@LunarLander-v2", "cannot be made by this gymnasium: did you mean LunarLander-v3?"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_what_was_meant(name: str, sentence: str) -> None:
    assert re.search(sentence.replace("?", r"\?"), answer(name))


@pytest.mark.parametrize("name", ["Hopper-v2", "Hopper-v3"])
def test_an_environment_of_mujoco_py_is_answered_with_its_successors(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco_py", None)  # absent, as on every new machine
    assert "cannot be made without mujoco-py" in answer(f"@{name}")
    assert "did you mean hopper or Hopper-v4 or Hopper-v5?" in answer(f"@{name}")


def test_a_package_that_an_environment_lacks_is_named_and_its_name_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(*arguments: object, **options: object) -> None:
        raise gymnasium.error.DependencyNotInstalled('Box2D is not installed, run `pip install "gymnasium[box2d]"`')

    monkeypatch.setattr(gymnasium, "make", make)
    sentence = answer("@LunarLander-v3")
    assert "since a package is missing: Box2D is not installed, run `pip install" in sentence
    assert "name" not in sentence.partition(":")[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--update", "3"], "'--update': did you mean --updates?"),
        (["--learning_rat", "3"], "did you mean --learning-rate?"),
        (["--preset", "papr"], "did you mean paper?"),
        (["--source", "minri"], "did you mean minari?"),
        (["--model", "dtt"], "did you mean tt or dt?"),
    ],
)
def test_options_and_their_values_are_answered_alike(words: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(words)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "source", "sentence"),
    [
        ("toy-medium", "d4rl", "D4RL has no toy-medium: use --source collected."),
        ("mine@toy", "d4rl", "D4RL has no mine@toy: give a file of yours with --path and no --source."),
        ("hopper-medium", "dqn-replay", "and not hopper-medium: use --source d4rl or reroll or collected or minari."),
        ("antmaze-umaze", "collected", "here, and no expert: use --source d4rl or minari."),
    ],
)
def test_a_source_that_has_no_such_data_is_answered_with_those_that_have(name: str, source: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load(Request(name, source))
    assert sentence in str(caught.value)
