"""Completion in shells, as they ask for it."""

import os
import subprocess
import sys

import pytest

from coder_model.checkpoints.catalogue import catalogue

START = [sys.executable, "-P", "-c", "import sys; sys.argv[0] = 'unmask'; from unmask_cli.start import main; main()"]


def run(*arguments, **environment):
    return subprocess.run(
        [*START, *arguments], capture_output=True, text=True, env=os.environ | environment, timeout=60, check=False
    )


def completed(words):
    typed = words.split(" ")
    found = run(_UNMASK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(typed) - 1))
    return found.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("unmask mo", ["models"]),
        ("unmask setup ", ["nvim", "vscode"]),
        ("unmask models re", ["recommend", "remove"]),
        ("unmask stats --", ["--plot", "--json", "--help"]),
        ("unmask models pull drea", [name for name in catalogue() if name.startswith("drea")]),
    ],
)
def test_commands_options_and_models_are_completed(words, expected):
    assert sorted(completed(words)) == sorted(expected)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_needs_is_printed_and_is_about_this_program(shell):
    shown = run(_UNMASK_COMPLETE=f"source_{shell}")
    assert shown.returncode == 0
    assert "_UNMASK_COMPLETE" in shown.stdout


def test_it_is_installed_for_a_shell_that_asks(tmp_path):
    shell = ["bash", "-c", '"$@"; exit $?', "bash", *START, "--install-completion"]
    done = subprocess.run(
        shell, capture_output=True, text=True, env=os.environ | {"HOME": str(tmp_path)}, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    script = tmp_path / ".bash_completions" / "unmask.sh"
    assert f"source '{script}'" in (tmp_path / ".bashrc").read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_completing_a_name_loads_neither_torch_nor_the_server():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['pygls'] = sys.modules['numpy'] = None; sys.argv[0] = 'unmask'"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}; from unmask_cli.start import main; main()"],
        capture_output=True,
        text=True,
        env=os.environ | {"_UNMASK_COMPLETE": "complete_bash", "COMP_WORDS": "unmask lo", "COMP_CWORD": "1"},
        timeout=60,
        check=False,
    )
    assert (found.stdout.split(), found.stderr) == (["log"], "")
