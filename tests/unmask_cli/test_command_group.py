import pytest
from commands import exit_code
from typer.testing import CliRunner

from unmask_cli.cli import app

AT_LEAST = "Input should be greater than or equal to"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nosuch"], "unmask: No such command 'nosuch'."),
        (["--nosuch"], "unmask: No such option: --nosuch"),
        (["train", "nosuch"], "unmask train: No such command 'nosuch'."),
        (["eval", "--limit", "-1"], "unmask eval: Invalid value for '--limit': "),
        (["eval", "--limit", "x"], "unmask eval: Invalid value for '--limit': "),
        (["train", "prepare", "--output", "o", "--processes", "0"], "unmask train prepare: Invalid value for '--proce"),
        (["train", "run", "--options", "{"], "unmask train run: Invalid value for '--options': "),
        (
            ["fill", "a.py", "--steps", "-1"],
            "unmask fill: Invalid value for '--steps': Input should be greater than or equal to 0, got '-1'\n",
        ),
        (
            ["fill", "a.py", "--deadline-ms", "-5"],
            "unmask fill: Invalid value for '--deadline-ms': Input should be greater than or equal to 1, got '-5'\n",
        ),
        (
            ["eval", "--limit", "0"],
            "unmask eval: Invalid value for '--limit': Input should be greater than or equal to 1, got '0'\n",
        ),
        (["fill", "--at", "1:1"], "unmask fill: Missing argument"),
        (["models", "pull"], "unmask models pull: Missing argument"),
        (["key"], "unmask key: Missing argument 'kind': which service: mercury"),
        (["setup"], "unmask setup: Missing argument 'editor'. Choose from: nvim, vscode"),
        (["setup", "emacs"], "unmask setup: Invalid value for 'editor': 'emacs' is not one of 'nvim', 'vscode'."),
        (["eval", "--concurrent", "0"], "unmask eval: Invalid value for '--concurrent': "),
    ],
)
def test_wrong_arguments_are_one_line(arguments, line):
    found = CliRunner().invoke(app, arguments, prog_name="unmask")
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith(line)
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["models"]])
def test_without_a_command_the_help_is_shown(arguments):
    found = CliRunner().invoke(app, arguments)
    assert "Usage" in found.output
    assert found.exit_code in (0, 2)


def test_help_and_version_end_well():
    for arguments in (["--help"], ["--version"], ["eval", "--help"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0


@pytest.mark.parametrize(
    ("cause", "code", "line"),
    [
        (KeyboardInterrupt, 130, "unmask: interrupted"),
        (EOFError, 1, "unmask: stopped at a question without an answer"),
    ],
)
def test_ctrl_c_at_a_question_is_not_the_end_of_answers(cause, code, line, monkeypatch, tmp_path, capsys):
    def answer(*_):
        raise cause

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", answer)
    assert exit_code(["models", "pull", "qwen2.5-coder-0.5b"]) == code
    assert capsys.readouterr().err.strip().splitlines() == [line]
