"""The layout of the repository: which room imports which, lengths of files, and equal statements in both READMEs."""

import ast
import re
import subprocess
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("decision_transformer", "trajectory_transformer", "gato")
DATA = {"trajectories", "environments", "sources"}
MAY_IMPORT: dict[str, set[str]] = {  # room: the rooms that it may import
    "trajectories": set(),
    "environments": {"trajectories"},
    "sources": {"trajectories", "environments"},
    "backbone": {"trajectories"},
    **{model: {"trajectories", "backbone"} for model in (*MODELS, "baselines")},
    "report": {"trajectories"},  # its errors and its atomic writes only, see below
    "training": {*DATA, *MODELS, "backbone", "baselines", "report"},
    "experiments": {*DATA, *MODELS, "backbone", "baselines", "report", "training"},
    "trajectory_models": {"sources", "training", "report"},
    "benchmarks": {*DATA, *MODELS, "backbone", "baselines", "report", "training", "experiments"},
    "campaign": {*DATA, *MODELS, "backbone", "baselines", "report", "training", "experiments"},
}
COMPAT = "gato/compat/"  # call forms of other systems, which load data, too
INSTALLED = {  # what requirements.txt brings, by the name under which it is imported; matplotlib brings Pillow
    *("torch", "numpy", "gymnasium", "mujoco", "h5py", "safetensors", "einops", "jaxtyping", "tyro", "rich", "tqdm"),
    *("matplotlib", "PIL", "sentencepiece", "ale_py", "filelock", "pandas", "dm_control", "scipy"),
}
OLD_WORDS = (  # of a private dialect, and British spelling
    r"tells?|told|learnt|whoever|worth|lest|owe[ds]?|knock\w*|somebody|siblings|mistakes|in the dress of|wanted|asking"
    r"|forgets?|optimis\w*|neighbour\w*|initialis\w*|spelt|thereby|mend(?:ed)?"
    r"|seen|asked|asks|said|nobody|joined|complain\w*|behaviour\w*|normalis\w*|colour\w*"
)
CLEAN = {*MAY_IMPORT, "tests"}
UNREAD = (  # the first is part of recorded games by its text, the others list the words
    *("sources/experts/atari.py", "tests/test_house.py", "report/migration.py"),
)
TRACKERS = {
    "tensorboard",
    "tensorboardX",
    "wandb",
    "trackio",
    "mlflow",
    "comet_ml",
    "neptune",
    "aim",
}  # often installed
NEEDS_MORE = {  # file: the package that another requirements file brings for it alone
    "sources/experts/train.py": {"stable_baselines3"},
    "sources/experts/vectorized.py": {"stable_baselines3"},
    "benchmarks/decision_transformer.py": {"transformers"},
}


@cache
def sources() -> tuple[Path, ...]:
    return tuple(sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py")))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, everywhere: bool = True) -> Iterator[str]:
    """Dotted names of what a file imports but for types; without `everywhere`, what importing it imports at once."""
    waiting: list[ast.AST] = [tree(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name(path)}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not for_types_only(node) and (everywhere or not isinstance(node, ast.FunctionDef)):
            waiting += ast.iter_child_nodes(node)


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def room(dotted: str) -> str:
    return dotted.partition(".")[0]


# ---- imports --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("importer", MAY_IMPORT)
def test_nothing_imports_upwards(importer: str) -> None:
    for path in sources():
        if path.relative_to(ROOT).parts[0] == importer:
            others = {room(each) for each in imported(path)} & {*MAY_IMPORT, "tests"} - {importer}
            allowed = MAY_IMPORT[importer] | (DATA if name(path).startswith(COMPAT) else set())
            assert others <= allowed, f"{name(path)} imports {others - allowed}"


def test_nothing_but_the_tests_imports_the_call_forms_of_other_systems() -> None:
    dotted = COMPAT.replace("/", ".")
    for path in sources():
        if not name(path).startswith(COMPAT):
            assert not [each for each in imported(path) if each.startswith(dotted)], name(path)


def test_the_report_knows_of_the_house_its_errors_and_how_to_write() -> None:
    for path in (ROOT / "report").rglob("*.py"):
        outside = {each for each in imported(path) if room(each) in {*MAY_IMPORT} - {"report"}}
        writing = {f"trajectories.atomic.{each}" for each in ("atomic_file", "make_folder", "sync", "write_text")}
        named = {"trajectories.names.file_name", "trajectories.names.plain_name"}
        assert outside <= {"trajectories.errors.UserError", *writing, *named}, name(path)


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources()}
    graph = {}
    for module, path in modules.items():
        names = set(imported(path))
        graph[module] = (names | {each.rpartition(".")[0] for each in names}) & set(modules) - {module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_what_is_imported_is_installed_by_the_requirements_of_the_first_command() -> None:
    for path in sources():
        known = {*sys.stdlib_module_names, *MAY_IMPORT, *INSTALLED} | NEEDS_MORE.get(name(path), set())
        assert {room(each) for each in imported(path, everywhere=False)} <= known, name(path)


def test_the_list_of_what_is_installed_is_that_of_the_requirements() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = {match[1].replace("-", "_") for line in lines if (match := re.match(r"([\w-]+)(\[\w+])?==\d", line))}
    named = {line.split("==")[0].split("[")[0] for line in lines if line and not line.startswith("#")}
    assert pinned == {each.replace("-", "_") for each in named}
    assert pinned - {"imageio", "tensorboard"} == INSTALLED - {"PIL"}  # these two are imported where they are needed


def test_reading_data_starts_neither_simulator_nor_model() -> None:
    code = "import sys, sources.loading; print(*(m for m in ('mujoco', 'gymnasium', 'gato') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("folder", "most"), [*((each, 300) for each in MAY_IMPORT), ("tests", 410)])
def test_no_file_is_longer_than_one_likes_to_read(folder: str, most: int) -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {path: length for path, length in lengths.items() if length > most} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{name(path)}: {node.name}"


def test_every_file_says_what_it_is() -> None:
    assert [name(path) for path in sources() if path.stat().st_size and not ast.get_docstring(tree(path))] == []


def test_names_of_tests_are_shorter_than_80_characters() -> None:
    tests = {
        path: re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8")) for path in (ROOT / "tests").glob("*.py")
    }
    assert [f"{path.name}: {each}" for path, names in tests.items() for each in names if len(each) >= 80] == []


@pytest.mark.parametrize("folder", sorted(CLEAN))
def test_old_words_are_not_written_again(folder: str) -> None:
    old = re.compile(rf"(?<!\.)(?<![^\W_])(?:{OLD_WORDS})(?![^\W_])", re.IGNORECASE)
    for path in (path for kind in ("*.py", "*.toml", "*.md") for path in (ROOT / folder).rglob(kind)):
        if not name(path).startswith(UNREAD):
            assert old.findall(path.read_text(encoding="utf-8")) == [], name(path)


def test_no_file_is_called_after_nothing() -> None:
    vague = {"utils", "util", "common", "misc", "helpers"}
    assert [name(path) for path in sources() if path.stem in vague] == []


def test_no_file_in_experiments_and_no_room_has_the_name_of_a_package() -> None:
    installed = {name for name, owners in packages_distributions().items() if set(owners) != {"trajectory-models"}}
    taken = {*sys.stdlib_module_names, *installed, *INSTALLED, *TRACKERS}
    first = [path.stem for path in (ROOT / "experiments").iterdir() if path.suffix in ("", ".py")]
    assert [each for each in (*first, *MAY_IMPORT) if each in taken] == []  # both are first on the path of a script


def test_nothing_is_unpickled_but_by_the_restricted_reader() -> None:
    for path in sources():
        used = {each for each in imported(path) if room(each) in ("pickle", "joblib", "dill", "shelve", "marshal")}
        makes = ("campaign/damage.py", "campaign/whole_files.py")  # pickles to be read by the restricted reader
        own = ("trajectories/formats/restricted_unpickler.py", "benchmarks/data.py")  # which times its own pickle
        assert not used or name(path) in (*own, *makes), name(path)
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"torch\.load\(|allow_pickle=True", text), name(path)
        assert name(path) not in makes or not re.search(r"pickle\.(loads?|Unpickler)\b", text), name(path)


def test_hdf5_files_are_opened_for_reading_in_one_place_only() -> None:
    for path in sources():
        opened = re.findall(r"h5py\.File\((?!.*\"w\")", path.read_text(encoding="utf-8"))
        own = ("trajectories/formats/hdf5.py", "benchmarks/data.py")  # the second reads what it wrote
        assert not opened or name(path) in own or name(path).startswith("campaign/"), name(path)


def test_files_are_replaced_and_locked_in_one_way() -> None:
    prefers_manual_attention = r"os\.(replace|rename)\(|\.rename\(|\.write_bytes\(|import fcntl|os\.getpid\(\)\}"
    found = {name(path) for path in sources() if re.search(prefers_manual_attention, path.read_text(encoding="utf-8"))}
    found = {each for each in found if not each.startswith("campaign/")}  # which damages files on purpose
    assert found <= {"trajectories/atomic.py", "gato/text.py"}  # the latter writes what atomic_file gives it


def test_no_place_of_somebodys_machine_is_written_down() -> None:
    for path in sources():
        assert not re.search(r"[\"'(]/(work|tmp|home|root|Users)/", path.read_text(encoding="utf-8")), name(path)


# ---- pages ----------------------------------------------------------------------------------------------------------


def page(path: str) -> list[str]:
    return (ROOT / path).read_text(encoding="utf-8").splitlines()


def commands(lines: list[str]) -> list[str]:
    """Lines of code, without what is remarked on them."""
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("    ")]


def test_the_two_readmes_show_the_same_commands() -> None:
    assert len(commands(page("README.md"))) > 10
    assert commands(page("README.md")) == commands(page("README_zh.md"))


def test_the_chinese_page_speaks_chinese() -> None:
    remarks = [line.partition(" # ")[2] for line in page("README_zh.md") if line.startswith("    ")]
    assert [each for each in remarks if each and not re.search("[一-鿿]", each)] == []
    text = "\n".join(page("README_zh.md"))
    assert re.findall("每一局|[0-9]+ 局|分数|目录里", text) == []  # 回合, 得分, 数据集清单


def test_the_two_readmes_have_the_same_chapters_and_tables_with_the_same_numbers() -> None:
    shapes = []
    for readme in ("README.md", "README_zh.md"):
        rows = [line for line in page(readme) if line.startswith("|")]
        shape = [re.match("#+", line)[0] for line in page(readme) if line.startswith("#")]  # type: ignore[index]
        shapes.append(shape + [(str(row.count("|")), *re.findall(r"\d[\d,.]*\d|\d|`[^`]+`", row)) for row in rows])
    for english, chinese in zip(*shapes, strict=True):
        assert sorted(english) == sorted(chinese)


@pytest.mark.parametrize(
    "readme", ["README.md", "README_zh.md", "CONTRIBUTING.md", *(f"{each}/README.md" for each in MODELS)]
)
def test_what_a_page_links_to_and_runs_is_there(readme: str) -> None:
    text = "\n".join(page(readme))
    folder = (ROOT / readme).parent
    for target in re.findall(r"\]\((?!http)([^)#\s]+)", text):
        assert (folder / target).exists(), target
    for script in re.findall(r"(?:experiments|benchmarks)/\w+\.py", text):
        assert (ROOT / script).exists(), script


def test_lines_of_code_fit_a_page_of_the_readme() -> None:
    for readme in ("README.md", "README_zh.md"):
        for line in page(readme):
            wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in line)
            assert not line.startswith("    ") or len(line) + wide <= 94, line


def test_the_readmes_say_about_how_long_the_files_of_models_are() -> None:
    for readme in ("README.md", "README_zh.md"):
        files = re.findall(r"\[\w+\.py\]\((.+?\.py)\)[,，] ?(\d+)", "\n".join(page(readme)))
        assert len(files) == 5
        for path, lines in files:
            assert len(page(path)) == pytest.approx(int(lines), rel=0.25), path


def test_every_environment_variable_is_listed() -> None:
    listed = set(re.findall(r"`([A-Z_]+)`", "\n".join(page("CONTRIBUTING.md"))))
    for path in sources():
        if not name(path).startswith(("tests/", "campaign/")):
            text = path.read_text(encoding="utf-8")
            used = re.findall(r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\"|^VARIABLE = \"([A-Z_]+)\"", text, re.MULTILINE)
            assert {first or second for first, second in used} <= listed, name(path)


def test_the_scores_to_expect_are_those_of_the_published_file() -> None:
    columns = tomllib.loads((ROOT / "report" / "published.toml").read_text(encoding="utf-8"))["column"]
    scores = {column["id"]: column["scores"] for column in columns}
    lines = [
        line for line in page("decision_transformer/README.md") if re.match(r"\| (hopper|walker2d|halfcheetah)-", line)
    ]
    assert len(lines) == 6
    for line in lines:
        row, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        for cell, column in zip(cells, ("dt_paper", "dt_corl", "bc_paper", "bc_corl", "bc10_paper"), strict=True):
            typed = [float(number) for number in cell.split(" ± ")]
            assert typed == pytest.approx(scores[column][row], abs=0.0501), (row, column)
