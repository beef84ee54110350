"""Ctrl-C, at any moment, and a user without a home folder: one line, and an exit code."""

import os
import signal
import subprocess
import sys
import time

import pytest

START = "from unmask_cli.start import main"


def started(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


# asked for the program's first module, so that the key is never pressed before `main` is there to see it
CTRL_C_WHILE_IMPORTING = """
import os, signal, sys, threading

class CtrlC:
    def find_spec(self, name, path, target=None):
        if name == "unmask_cli.cli":
            threading.Timer(float(sys.argv.pop()), os.kill, (os.getpid(), signal.SIGINT)).start()

sys.meta_path.insert(0, CtrlC())
"""


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.1])
def test_while_the_program_is_still_being_imported(seconds):
    process = started(f"{START}\n{CTRL_C_WHILE_IMPORTING}\nmain()", "doctor", seconds)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "unmask: interrupted\n")


def project(folder, n):
    """A project whose cleaning takes a while."""
    folder.mkdir(parents=True)
    (folder / "LICENSE").write_text("MIT License")
    for i in range(n):
        (folder / f"m{i}.py").write_text("".join(f"name_{j} = compute({i}, {j})\n" for j in range(3000)))


def test_while_processes_prepare_a_corpus(tmp_path):
    for name in "abcdefgh":
        project(tmp_path / "projects" / name, 20)
    process = started(
        f"{START}; main()",
        "train",
        "prepare",
        tmp_path / "projects",
        "--output",
        tmp_path / "out",
        "--processes",
        2,
        "--hold-out",
        "a",
    )
    cleaned = tmp_path / "out" / "cleaned"
    end = time.monotonic() + 60
    while not (cleaned.exists() and list(cleaned.iterdir())) and time.monotonic() < end:
        time.sleep(0.01)
    # as a terminal does: to all of them
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "unmask: interrupted"
    assert "Traceback" not in error
    assert "Process Spawn" not in error
    assert not [file for file in cleaned.iterdir() if file.suffix == ".part"]


def test_at_a_model_that_answers(tmp_path, model_directory):
    process = started(f"{START}; main()", "eval", "--model", model_directory, "--output", tmp_path / "r.json")
    end = time.monotonic() + 60
    while not (tmp_path / "r.json.part").exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error.splitlines()[-1]) == (130, "unmask: interrupted")
    assert not list(tmp_path.iterdir())


NO_HOME = """
import os, pwd, sys

def no_entry(_):
    raise KeyError("no such user")

for name in [name for name in os.environ if name == "HOME" or name.startswith("XDG_")]:
    del os.environ[name]
pwd.getpwuid = no_entry
"""
COMMANDS = (
    "doctor", "lsp", "stats", "log", "setup nvim", "setup vscode", "models list", "models info qwen2.5-coder-0.5b",
    "models recommend", f"fill {__file__} --at 1:1",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_user_without_a_home_folder_gets_one_line(command):
    process = started(f"{NO_HOME}\n{START}\nmain()", *command.split())
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (1, "unmask: this user has no home folder: HOME must name one\n")


def test_without_a_home_folder_there_is_still_the_version():
    process = started(f"{NO_HOME}\n{START}\nmain()", "--version")
    printed, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert printed.startswith("unmask ")
