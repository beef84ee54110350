"""What the help says of exit codes, beside those that the program ends with."""

import ast
import re
from pathlib import Path

import pytest
from commands import exit_code

from coder_model.model.embedded import DEFAULT_MODEL
from unmask_cli import cli, command_group, terminal

SOURCES = sorted(Path(cli.__file__).parent.glob("*.py"))
NEEDED = "id, lang, prefix, suffix and reference"
NAMES = {"NOT_NOW", "BAD_INPUT", "INTERRUPTED"}


@pytest.fixture
def said(capsys, monkeypatch):
    """The codes that the help names."""
    monkeypatch.setenv("COLUMNS", "80")
    assert exit_code(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    return {int(code) for code in re.findall(r"(?:codes:|;) (\d+) ", text)}


def test_the_help_names_every_code_and_no_other(said):
    assert said == set(terminal.EXIT_CODES) == {0, 1, 2, 130}


def codes_in(node):
    """What an expression may be: numbers, and names of numbers."""
    if isinstance(node, ast.IfExp):
        return codes_in(node.body) | codes_in(node.orelse)
    if isinstance(node, ast.BoolOp):
        return codes_in(node.values[-1])
    return {node.value if isinstance(node, ast.Constant) else getattr(node, "id", ast.dump(node))}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.name)
def test_the_program_ends_with_no_other_code(file):
    ends = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    ends = [node for node in ends if ast.unparse(node.func) in ("sys.exit", "typer.Exit", "os._exit", "SystemExit")]
    assert {code for node in ends for code in codes_in(node.args[0])} <= {*terminal.EXIT_CODES, *NAMES}


def test_a_command_that_does_nothing_wrong_ends_with_0():
    assert exit_code(["models", "list"]) == 0


def test_what_may_go_well_another_time_ends_with_1(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert exit_code(["log"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["--nosuch"], ["fill", "a.py", "--at", "1:1"], ["models", "info", "x"]]
)
def test_what_will_not_ends_with_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_ends_with_130(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_group.TyperGroup, "invoke", interrupt)
    assert exit_code(["models", "list"]) == 130
    assert capsys.readouterr().err == "unmask: interrupted\n"


@pytest.mark.parametrize("command", ["pull", "remove"])
def test_the_embedded_model_is_neither_fetched_nor_removed(command, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert exit_code(["models", command, "embedded"]) == 2
    assert "comes with the package: it is neither fetched nor removed" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "verify"])
def test_the_embedded_model_is_described_and_said_to_come_with_the_package(command, capsys):
    assert exit_code(["models", command, "embedded"]) == 0
    said = capsys.readouterr().out
    assert "comes with the package" in said
    assert (str(DEFAULT_MODEL) in said) == (command == "info")
    assert ("\n" not in said.strip()) == (command == "verify")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "gone.jsonl must be a file of infill cases: No such file or directory\n"),
        (b"caf\xe9", "gone.jsonl must be infill cases in UTF-8, byte 3 is not\n"),
        (b"import os\n", f"gone.jsonl:1 must be a case as a JSON object with {NEEDED}: "),
        (b"[1]\n", f"gone.jsonl:1 must be a case as a JSON object with {NEEDED}: "),
        (
            b'{"id": 1, "prefix": ""}\n',
            f"gone.jsonl:1 must be a case with {NEEDED}: it has no 'suffix'\n",
        ),
    ],
)
def test_what_is_no_case_is_named_in_plain_words(content, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if content:
        Path("gone.jsonl").write_bytes(content)
    assert exit_code(["eval", "--data", "gone.jsonl"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"unmask eval: {said}")
    assert error.count("\n") == 1
    assert "Error(" not in error
