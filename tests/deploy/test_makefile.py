"""`make` says what it does in a line each, and what a tool says only where that fails."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python;;
  *"pip install"*) echo "Collecting torch"; echo "a warning" >&2
    test ! -e broken || { echo "no such version"; exit 1; };;
  *) echo "ran $*";;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile and a Python that only says what it is asked."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(folder, *arguments):
    command = ["make", "--no-print-directory", f"PYTHON={folder / 'python'}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_the_demo_says_what_is_done_and_nothing_of_recipes_or_pip(checkout):
    first = make(checkout, "demo")
    made, installed, shown = first.stdout.splitlines()
    assert made == "making .venv"
    assert installed.startswith("installing what the program needs into .venv, once: ")
    assert shown == "ran benchmarks/demo.py --model qwen2.5-coder-0.5b"
    assert first.stderr == ""
    assert make(checkout, "demo", "MODEL=embedded").stdout == "ran benchmarks/demo.py --model embedded\n"


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_where_pip_fails_all_that_it_said_is_shown_and_the_next_time_it_is_tried_again(checkout):
    (checkout / "broken").touch()
    for _ in range(2):
        failed = make(checkout, "demo")
        assert failed.returncode
        assert "Collecting torch\na warning\nno such version\n" in failed.stdout
        assert "ran " not in failed.stdout
    (checkout / "broken").unlink()
    assert make(checkout, "demo").returncode == 0
