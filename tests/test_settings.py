"""training/settings.py: the command line says what the dataclasses say, and presets say nothing in vain."""

import re
import tomllib
from dataclasses import Field, dataclass, fields
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any, Literal

import pytest

from backbone.options import HELP, LIMITS, Limits, check_options, dashed, option
from training import suites
from training.presets import IMAGES, PRESETS, fill, preset_names, preset_values
from training.registry import MODELS, Entry, find
from training.settings import Machine, Run, parse, spec_of
from trajectories.answered import answered_rows
from trajectories.catalog import dataset, dataset_names
from trajectories.errors import UserError

TABLES = tomllib.loads(PRESETS.read_text(encoding="utf-8"))
SEVERAL = [("hopper-medium", "walker2d-medium")]


def options(model: str, entry: Entry | None = None) -> dict[str, object]:
    """Every option of a model by its name, with its default."""
    config = (entry or find(model)).config
    return {each.name: each.default for owner in (Run, config, Machine) for each in fields(owner)}


# ---- presets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_every_preset_of_every_model_says_what_its_options_are_on_every_data_set(model: str) -> None:
    for preset in preset_names(PRESETS, find(model)):
        for env in [*((name,) for name in dataset_names()), *(SEVERAL if find(model).model.multi_task else ())]:
            entry = find(model, spec_of(env))
            values = preset_values(PRESETS, preset, entry, env)
            for name, value in values.items():
                assert name in options(model, entry), (preset, env, name)
                assert type(value) is type(options(model, entry)[name]), (preset, env, name)
            fill(entry.config(), {name: value for name, value in values.items() if not hasattr(Run, name)})


def test_every_table_of_the_presets_names_an_existing_model_and_data_set() -> None:
    for preset, parts in TABLES.items():
        assert set(parts) <= {"all", *MODELS}, preset
        for part, values in parts.items():
            patterns = [key for key, value in values.items() if isinstance(value, dict)]
            for pattern in set(patterns) - {"*+*", IMAGES}:
                start = pattern.partition("*")[0]
                known = [*dataset_names(), *answered_rows()]
                assert any(name.startswith(start) for name in known), (preset, part, pattern)


def test_a_preset_is_used_alone_and_the_command_line_goes_over_it(tmp_path) -> None:
    path = tmp_path / "presets.toml"
    path.write_text("""
        [default.dt]
        updates = 11
        width = 16
        [default.dt."hopper-*"]
        width = 32
        [default.dt."*+*"]
        width = 99
        [short.all]
        updates = 7
        [short.dt]
        episodes = 3
        [short.dt.toy-medium]
        episodes = 4
    """)

    def found(*words: str) -> tuple[int, int, int]:
        settings = parse(words, path)
        return settings.run.updates, settings.run.episodes, settings.config.width  # type: ignore[attr-defined]

    assert found("--env", "toy-medium") == (11, 100, 16)
    assert found() == (11, 100, 32)
    assert found("--preset", "short") == (7, 3, 128)  # the width of the dataclass, and not the default preset's
    assert found("--preset", "short", "--env", "toy-medium") == (7, 4, 128)
    assert found("--preset", "short", "--updates", "5", "--width", "8") == (5, 3, 8)


def test_the_papers_trajectory_transformer_inherits_nothing_from_the_laptops() -> None:
    for env, admitted in {"hopper-medium": 0.6, "walker2d-medium": 0.6, "walker2d-medium-replay": 0.0}.items():
        config: Any = parse(["--model", "tt", "--env", env, "--preset", "paper"]).config
        assert (config.learning_rate, config.dropout, config.prefix, config.cdf_actions) == (6e-4, 0.1, 0, admitted)


def test_the_paper_s_trajectory_transformer_reads_equally_many_windows_of_ant() -> None:
    settings = [parse(["--model", "tt", "--env", env, "--preset", "paper"]) for env in ("ant-medium", "hopper-medium")]
    ant, hopper = (each.run.updates * each.config.batch_size for each in settings)
    assert ant == pytest.approx(hopper, rel=1e-5)


@pytest.mark.parametrize("size", ["79M", "364M", "1.18B"])
def test_a_size_of_gatos_paper_gets_nothing_from_the_laptops_presets(size: str) -> None:
    settings: Any = parse(["--model", "gato", "--env", "breakout", "--preset", size])
    config = settings.config
    assert (config.patch_width, config.patch_groups, config.context, config.prompt_steps) == (64, 32, 8, 2)
    assert (config.prompt_from, config.learning_rate, config.batch_size) == ("any", 1e-4, 512)
    assert settings.run.updates == 1_000_000


@pytest.mark.parametrize("model", MODELS)
def test_a_preset_that_a_model_does_not_have_is_refused_with_those_that_it_has(model: str, tmp_path) -> None:
    path = tmp_path / "presets.toml"
    path.write_text("[some.dt]\n[some.tt]\n[everyone.all]\n")
    has = ["default", *(["some"] if model in ("dt", "tt") else []), "everyone", *find(model).config.presets]
    assert preset_names(path, find(model)) == has
    for name in {"some", "another"} - set(has):
        with pytest.raises(
            UserError, match=f"no preset called '{name}' for {model}: .*choose one of {', '.join(has)}\\."
        ):
            parse(["--model", model, "--preset", name], path)


def test_gato_has_no_paper_preset_and_the_paper_suite_runs_no_gato() -> None:
    with pytest.raises(UserError, match=r"no preset called 'paper' for gato: choose one of default, smoke, tiny, 79M"):
        parse(["--model", "gato", "--preset", "paper"])
    assert suites.find("paper").models == ("bc", "nearest", "dt", "tt")


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("[default.dt", "cannot be read"),
        ("\x00", "cannot be read"),
        ("a = " + "[" * 9999, "cannot be read"),
        ("default = 3", "stands in no table"),
        ("[default]\nupdates = 3", "[default] has updates"),
        ("[default.dtt]\nupdates = 3", "[default] has dtt"),
        ("[default.dt]\nupdates = 'x'", "updates = x"),
        ("[default.dt]\nupdates = true", "updates = True"),
        ("[default.dt]\ncontext = []", "context = []"),
        ("[default.dt]\nseed = 10000000000000000000000", "--seed is 10000000000000000000000"),
        ("[default.dt]\nlearning_rate = nan", "--learning-rate is nan"),
    ],
)
def test_presets_that_cannot_be_meant_are_refused_in_one_sentence(tmp_path, text: str, culprit: str) -> None:
    path = tmp_path / "presets.toml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        parse(["--model", "dt", "--env", "toy-medium"], path)
    assert culprit in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_whole_number_in_a_preset_is_a_float_where_the_option_is_one(tmp_path) -> None:
    (tmp_path / "presets.toml").write_text("[default.dt]\nbeta1 = 0\nupdates = 7")
    settings = parse(["--model", "dt"], tmp_path / "presets.toml")
    assert type(settings.config.beta1) is float
    assert settings.run.updates == 7


def test_a_preset_with_a_word_that_no_option_has_is_refused(tmp_path) -> None:
    path = tmp_path / "presets.toml"
    path.write_text("[default.dt]\nwitdh = 16\n")
    with pytest.raises(UserError, match=r"presets.toml: dt has no option 'witdh'"):
        parse([], path)


# ---- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_help_lists_every_option_of_the_model_with_default_and_meaning(model, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        parse(["--model", model, "--help"])
    assert ended.value.code == 0
    output = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in options(model):
        assert f"--{name.replace('_', '-')} " in output or f"--no-{name.replace('_', '-')}" in output, name
    for owner in (Run, find(model).config, Machine):
        for each in fields(owner):
            meaning = each.metadata[HELP]
            assert len(meaning.split()) > 1, each.name
            assert " ".join(meaning.split()[:3]) in output, each.name
    for preset in preset_names(PRESETS, find(model)):
        assert preset in output


@pytest.mark.parametrize("model", MODELS)
def test_no_option_of_a_model_is_called_like_one_of_the_runs(model: str) -> None:
    names = [each.name for owner in (Run, find(model).config, Machine) for each in fields(owner)]
    assert len(names) == len(set(names))


def test_long_names_of_models_mean_the_short_ones() -> None:
    for long, short in (("decision_transformer", "dt"), ("trajectory_transformer", "tt"), ("behavior_cloning", "bc")):
        assert parse(["--model", long]).run == parse(["--model", short]).run


# ---- limits ---------------------------------------------------------------------------------------------------------


ENTRIES = [find(model, spec_of((env,))) for model in MODELS for env in ("hopper-medium", "breakout")]
ANY_NUMBER = {"target_returns", "termination_penalty"}


def numeric(owner: Any) -> list[Field]:
    return [each for each in fields(owner) if {"int", "float"} & set(re.findall(r"\w+", str(each.type)))]


def test_every_option_that_takes_a_number_says_which() -> None:
    for owner in (Run, Machine, *(entry.config for entry in ENTRIES)):
        unlimited = {each.name for each in numeric(owner) if each.metadata[LIMITS] == Limits()}
        assert unlimited <= ANY_NUMBER, f"{owner.__module__}: give these limits"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("env", ["toy-medium", "breakout"])
def test_a_number_outside_its_options_limits_is_refused_by_its_name(model: str, env: str) -> None:
    settings = parse(["--model", model, "--env", env])
    for owner in (settings.run, settings.config, settings.machine):
        for each in numeric(owner):
            limits, typed = each.metadata[LIMITS], dashed(each.name)
            whole = "int" in str(each.type)
            outside = [limits.low - 1, limits.high + 1] if whole else [limits.low - 0.1, limits.high + 0.1, nan, inf]
            for value in (*outside, limits.above, limits.below):
                unused = each.name == "updates" and not find(model).trained
                if value != each.default and not unused and (isfinite(value) or not (whole or value == -inf)):
                    with pytest.raises(UserError, match=f"{typed} is {value}"):
                        parse(["--model", model, "--env", env, typed, str(value)])


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(low=1), "1 or more"),
        (Limits(above=0), "a number above 0"),
        (Limits(low=0, below=1), "a number of at least 0 and below 1"),
        (Limits(), "a finite number"),
    ],
)
def test_limits_are_written_in_words(limits: Limits, words: str) -> None:
    assert str(limits) == words


@dataclass(frozen=True)
class Own:
    color: Literal["red", "blue"] = option("red", "of everything")


def test_a_model_made_in_python_has_the_same_limits_and_choices() -> None:
    dt: Any = find("dt").config
    with pytest.raises(UserError, match=r"--dropout is 1\.5: give a number of at least 0 and below 1"):
        dt(dropout=1.5)
    with pytest.raises(UserError, match="--color is 'bleu': did you mean blue"):
        check_options(Own("bleu"))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="--heads 3"):
        dt(width=100, heads=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model dt --width 100 --heads 3", "--width is 100, and --heads 3: the first has to be a multiple"),
        ("--model tt --width 100 --heads 3", "--width is 100, and --heads 3"),
        ("--model gato --patch-width 30", "--patch-width is 30, and --patch-groups 32"),
        ("--model gato --env hopper-medium walker2d-medium --task-weights 1 -1", "--task-weights is -1"),
        ("--model dt --target-returns 3600 nan", "--target-returns is nan"),
    ],
)
def test_what_cannot_be_divided_or_is_one_of_several_is_refused_too(words: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(words.split())
    assert parse(["--model", "gato", "--width", "100", "--heads", "3"]).config.width == 100  # type: ignore[attr-defined]


# ---- identity -------------------------------------------------------------------------------------------------------


def test_what_the_machine_decides_is_no_part_of_a_runs_identity() -> None:
    usual = parse(["--env", "toy-medium"]).resolved()
    words = ["--threads", "1", "--checkpoint-seconds", "9", "--data-dir", "there", "--device", "cuda:1"]
    assert parse(["--env", "toy-medium", *words]).resolved() == usual
    assert parse(["--env", "toy-medium", "--seed", "1"]).resolved() != usual
    assert parse(["--env", "toy-medium", "--width", "64"]).resolved() != usual


@pytest.mark.parametrize(
    "words",
    [
        "--model dt --env hopper-medium --seed 3 --updates 77 --width 64 --delayed-reward",
        "--model bc --env walker2d-medium --fraction-best 0.1 --source collected --precision fp32",
        "--model gato --env hopper-medium walker2d-medium --task-weights 2.0 1.0",
        "--model tt --env hopper-medium --preset smoke",
        "--model tt --env walker2d-medium --preset paper --horizon 5 --updates 9",
        "--model gato --env breakout --preset 364M --patch-width 32",
        "--model dt --env hopper-medium --target-returns 3600 1800 600",
    ],
)
def test_a_runs_own_command_means_the_same_settings(words: str) -> None:
    settings = parse(words.split())
    command = settings.command()
    assert command.startswith("python experiments/run.py ")
    again = parse(command.split()[2:])
    assert again.resolved() == settings.resolved()
    assert again.run.preset == settings.run.preset


# ---- suites ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite `two` of the toy's data sets."""
    text = '[two]\nmodels = ["gato"]\nenvs = ["toy-medium", "toy-expert"]\nseeds = [0]\nsource = "collected"\n'
    (tmp_path / "suites.toml").write_text(text + "weights = { toy-expert = 3 }\noptions.gato.steps = 700\n")
    monkeypatch.setattr(suites.find, "__defaults__", (tmp_path / "suites.toml",))


def test_a_suite_is_its_data_sets_at_once_by_their_weights(suite: None) -> None:
    run = parse(["--model", "gato", "--suite", "two"]).run
    assert (run.env, run.task_weights, run.source) == (("toy-medium", "toy-expert"), (1.0, 3.0), "collected")
    assert run.steps == 700
    assert parse(["--model=gato", "--suite=two"]) == parse(["--model", "gato", "--suite", "two"])


def test_the_command_line_changes_a_suite(suite: None) -> None:
    run = parse(["--model", "gato", "--suite", "two", "--env", "toy-expert", "--source", "auto"]).run
    assert (run.env, run.task_weights, run.source) == (("toy-expert",), (), "auto")


def test_task_weights_without_numbers_draw_a_suite_equally(suite: None) -> None:
    assert parse(["--model", "gato", "--suite", "two", "--task-weights", "--seed", "1"]).run.task_weights == ()


def test_families_are_left_out_however_they_are_typed() -> None:
    usual = parse(["--model", "gato", "--suite", "generalist", "--without", "pairs", "text"])
    assert parse(["--model", "gato", "--suite", "generalist", "--without", "pairs", "--without=text"]) == usual


def test_families_are_left_out_of_a_suite_with_their_weights() -> None:
    whole = parse(["--model", "gato", "--suite", "generalist"])
    plain = parse(["--model", "gato", "--without", "pairs", "text", "--suite", "generalist", "--seed", "0"])
    left = [name for name in whole.run.env if name not in ("emoji", "easy-vqa", "text-bible")]
    assert list(plain.run.env) == left
    assert plain.run.task_weights == whole.run.task_weights[: len(left)]
    assert "without" not in plain.resolved()["run"]
    assert parse(plain.command().split()[2:]).resolved() == plain.resolved()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--suite", "generalist", "--without", "atari"), "--without atari: the suite has mujoco, babyai, metaworld"),
        (("--suite", "two", "--without", "toy"), "--without toy leaves no task of the suite"),
        (("--suite", "two", "--without=toy"), "--without toy leaves no task of the suite"),
        (("--without=toy",), "--without leaves families out of a suite, and there is none"),
        (("--suite", "two", "--env", "toy-expert", "--without", "toy"), "and --env names other data sets"),
        (("--suite", "two", "--suite", "smoke"), "--suite is given more than once"),
        (("--without", "text"), "--without leaves families out of a suite, and there is none"),
    ],
)
def test_families_that_cannot_be_left_out_are_named(words: tuple[str, ...], message: str, request: Any) -> None:
    if "two" in words:
        request.getfixturevalue("suite")
    with pytest.raises(UserError, match=message):
        parse(["--model", "gato", *words])


@pytest.mark.parametrize("name", ["generalist", "generalist-long"])
def test_a_generalist_has_many_families_and_none_of_the_held_out_tasks(name: str) -> None:
    suite = suites.find(name)
    held_out = {"metaworld-drawer-open", "babyai-pickup-dist", "dmc-cartpole-balance", "hopper-medium-expert"}
    assert held_out <= set(dataset_names())
    assert not held_out & set(suite.envs)
    families = [dataset(each).environment.family for each in suite.envs]
    assert len({*families} - {"pairs", "text", "atari"}) == 8
    assert len([each for each in families if each not in ("pairs", "text", "atari")]) >= 20
    assert {"pairs", "text"} <= set(families)
    assert families.count("atari") == (4 if name == "generalist-long" else 0)


def test_a_weight_of_a_data_set_that_a_suite_lacks_is_an_error() -> None:
    with pytest.raises(UserError, match="weighs toy-medum, which is none of its envs: did you mean toy-medium"):
        suites.Suite(("gato",), ("toy-medium",), (0,), weights={"toy-medum": 1.0})


def test_a_suite_that_does_not_exist_is_an_error_before_anything_else() -> None:
    with pytest.raises(UserError, match="no suite called 'generalst'"):
        parse(["--model", "gato", "--suite", "generalst"])
