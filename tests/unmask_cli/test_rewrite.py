import sys
from pathlib import Path

import pytest
from commands import exit_code
from gguf_files import real_file

from coder_model.checkpoints.store import Store
from lsp_server.backends import factory
from lsp_server.backends.local import WorkerBackend

TEXT = "é = '😀'\r\ndef one():\r\n    x = bad\r\n\r\ny = bad\r\n"
FAKE = str(Path(__file__).parents[1] / "support" / "fake_worker.py")


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a.py"
    made.write_bytes(TEXT.encode())
    return made


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Has the fake worker answer, with more arguments."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def use(*more):
        monkeypatch.setattr(
            "unmask_cli.rewrite.chosen_backend", lambda *_: WorkerBackend([sys.executable, FAKE, *more])
        )

    return use


def test_the_diff_is_what_is_written(file, fake, capsys):
    fake()
    assert exit_code(["rewrite", str(file), "2:4"]) == 0
    shown = capsys.readouterr()
    assert file.read_bytes() == TEXT.encode()
    assert "-    x = bad\r\n+    x = good\r\n" in shown.out
    assert "the model finds the selection 9,000 times likelier now" in shown.err
    assert exit_code(["rewrite", str(file), "2:4", "--write", "--strength", "refresh", "--instruction", "be good"]) == 0
    assert capsys.readouterr().out == shown.out
    assert file.read_bytes().decode() == TEXT.replace("x = bad", "x = good")


def test_what_the_model_finds_likely_stays(file, fake, capsys):
    fake()
    assert exit_code(["rewrite", str(file), "1:1", "--write"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "finds nothing that is clearly likelier" in said.err
    assert file.read_bytes() == TEXT.encode()


def test_a_diff_on_a_terminal_has_colours(file, fake, capsys, monkeypatch):
    fake()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert exit_code(["rewrite", str(file), "3:3"]) == 0
    said = capsys.readouterr().out
    assert "\x1b[31m-    x = bad" in said
    assert "\x1b[32m+    x = good" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["3"], "lines must be FROM:TO, both from 1, got '3'"),
        (["0:2"], "has lines 1 to 6"),
        (["3:2"], "has lines 1 to 6"),
        (["2:99"], "has lines 1 to 6"),
        (["4:4"], "a selection must hold something"),
        (["1:3", "--strength", "hard"], "hard"),
        (["1:3", "--instruction", "\udc80"], "--instruction must be valid Unicode text"),
    ],
)
def test_wrong_lines_and_options_are_named(file, arguments, expected, capsys):
    assert exit_code(["rewrite", str(file), *arguments]) == 2
    assert expected in " ".join(capsys.readouterr().err.split())


def test_two_thousand_lines_are_too_many(tmp_path, capsys):
    file = tmp_path / "b.py"
    file.write_text("x = 1\n" * 2000)
    assert exit_code(["rewrite", str(file), "1:2000"]) == 2
    assert "at most 120 lines of 6,000 characters can be rewritten, got 2,000 lines" in capsys.readouterr().err


def test_a_model_that_cannot_judge_refuses_and_names_one_that_can(file, model_directory, capsys):
    assert exit_code(["rewrite", str(file), "1:3", "--model", str(model_directory), "--write"]) == 2
    assert "cannot judge code; `unmask models pull qwen2.5-coder-0.5b`" in capsys.readouterr().err
    assert file.read_bytes() == TEXT.encode()


def test_a_worker_that_dies_of_the_lines_leaves_the_file(tmp_path, fake, capsys):
    fake()
    file = tmp_path / "c.py"
    file.write_text("crash = bad\n")
    assert exit_code(["rewrite", str(file), "1:1", "--write"]) == 2
    assert "the model could not read these lines" in capsys.readouterr().err
    assert file.read_text() == "crash = bad\n"


@pytest.mark.slow
def test_a_wrong_name_is_mended_by_a_published_model_and_right_code_stays(tmp_path, capsys):
    weights = real_file()
    file = tmp_path / "d.py"
    right = "def total(prices):\n    result = 0\n    for price in prices:\n        result += price\n    return result\n"
    for text in (right.replace("+= price", "+= prices"), right):
        file.write_text(text)
        assert exit_code(["rewrite", str(file), "1:5", "--write", "--model", str(weights)]) == 0
        assert file.read_text() == right


def test_an_installed_model_that_could_judge_is_named_instead_of_a_pull(monkeypatch, tmp_path):
    store = Store(tmp_path)
    monkeypatch.setattr(factory, "Store", lambda: store)
    assert f"unmask models pull {factory.OFFERED}" in factory.no_judge()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.safetensors").write_bytes(b"x")
    store.register(factory.OFFERED, "a folder", "", "qwen2.5-coder", tmp_path / "files", {})
    assert f'model = "{factory.OFFERED}"' in factory.no_judge()
    assert "pull" not in factory.no_judge()
