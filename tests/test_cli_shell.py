"""The program in a shell: quick to start, completed by Tab, plain, and never a traceback."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import imbemotion
from imbemotion.cli import app

COMMANDS = [
    "init", "check", "analyze", "strategies", "split", "balance", "train", "predict", "compare",
    "report", "plan", "run", "demo",
]  # fmt: skip
PROGRAM = "import sys; sys.argv[0] = 'imbemotion'; from imbemotion.cli import main; main()"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def complete(words):
    """Give what Tab offers in bash at the end of a line."""
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "_IMBEMOTION_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return said.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("imbemotion tr", ["train"]),
        ("imbemotion train faces --los", ["--loss"]),
        ("imbemotion train faces --loss fo", ["focal"]),
        ("imbemotion train faces --model s", ["small_cnn"]),
        ("imbemotion compare faces --strategies none,tuned", ["none,tuned_offsets"]),
    ],
)
def test_tab_completes_commands_options_and_choices(words, offered):
    assert complete(words) == offered


def test_the_program_starts_before_anything_heavy_is_loaded():
    code = """
import sys, imbemotion.cli
heavy = {"numpy", "pandas", "scipy", "sklearn", "imblearn", "torch", "yaml"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """Run every --help, and init, in a program that can import none of the heavy packages."""
    path = tmp_path_factory.mktemp("init") / "config.yaml"
    code = f"""
import json, sys
class Blocker:  # not sys.modules[name] = None, which SciPy takes for a module
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "torchvision", "skorch", "matplotlib"):
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
from typer.testing import CliRunner
from imbemotion.cli import app
runs = {{name: CliRunner().invoke(app, [name, "--help"]) for name in {COMMANDS!r}}}
runs["init FILE"] = CliRunner().invoke(app, ["init", {str(path)!r}])
print(json.dumps({{name: (run.exit_code, run.output) for name, run in runs.items()}}))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(said.stdout)


@pytest.mark.parametrize("name", [*COMMANDS, "init FILE"])
def test_help_and_init_need_no_pytorch(name, without_torch):
    status, output = without_torch[name]
    assert status == 0, output
    assert ("Usage: " if name in COMMANDS else "Written: ") in output


def test_commands_that_train_nothing_leave_torch_unloaded(tmp_path):
    for label in ("happy", "sad"):
        (tmp_path / label).mkdir()
        for n in range(10):
            (tmp_path / label / f"{n}.png").write_text(f"{label} {n}")  # never opened
    code = f"""
import sys
from typer.testing import CliRunner
from imbemotion.cli import app
for command in ("analyze", "strategies", "split", "balance"):
    result = CliRunner().invoke(app, [command, {str(tmp_path)!r}])
    assert result.exit_code == 0, result.output
    assert not {{"torch", "skorch", "matplotlib"}} & set(sys.modules), command
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_list_of_commands_is_whole_and_fits_80_columns():
    lines = run("--help").stdout.strip().splitlines()
    listed = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line]
    assert listed == COMMANDS
    assert not [line for line in lines[1:] if line.endswith("...") or len(line) > 80]


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["analyze", "{tmp}/few.csv"], 1, "  and 33 more\nAre their paths relative"),
        (["init", "{tmp}/none/c.yaml"], 1, "the folder {tmp}/none does not exist"),
        (["init", "{tmp}"], 2, "is a folder; name a file"),
        (["predict", "{tmp}", "{tmp}", "--out", "{tmp}"], 2, "is a folder; name a file"),
        (["report", "{tmp}", "--out", "{tmp}"], 2, "is a folder; name a file"),
        (["report", "{tmp}", "--out", "{tmp}/none/x"], 1, "the folder {tmp}/none does not exist"),
        (["compare", "faces", "--strategies", "focl"], 1, "focl. Did you mean focal?"),
        (["compare", "faces", "--strategies", ","], 2, "name at least one, got"),
        (["demo", "--jobs", "0"], 2, "--jobs must be"),
        (["compare", "faces", "--jobs", "0"], 2, "--jobs must be"),
        (["train", "faces", "--out", "{tmp}/few.csv"], 1, "few.csv is a file"),
    ],
)
def test_errors_are_short_and_plain(tmp_path, words, status, text):
    rows = [f"nowhere/{n}.png,happy" for n in range(38)]
    (tmp_path / "few.csv").write_text("\n".join(["path,label", *rows]))
    result = run(*(word.format(tmp=tmp_path) for word in words))
    assert result.exit_code == status
    assert text.format(tmp=tmp_path) in result.output
    assert "Traceback" not in result.output
    assert len(result.output.splitlines()) <= 8


def test_names_that_are_no_text_are_said_as_such(tmp_path):
    for label in (b"happy", b"sad\xff"):
        folder = os.path.join(os.fsencode(tmp_path), label)
        try:
            os.makedirs(folder)
        except OSError:
            pytest.skip("This system allows no such names.")
        open(folder + b"/1.png", "w").close()
    result = run("analyze", tmp_path, "--json")
    assert result.exit_code == 1
    assert "Labels must be text in UTF-8, got sad" in result.output


def test_the_package_itself_is_the_program():
    said = subprocess.run(
        [sys.executable, "-m", "imbemotion", "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == imbemotion.__version__
