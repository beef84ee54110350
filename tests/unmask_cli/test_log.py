import signal
import subprocess
import sys

import pytest
from commands import exit_code
from processes import wait_until

from lsp_server.log_file import log_file


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = log_file()
    made.parent.mkdir()
    return made


def test_where_it_is_and_its_end(file, capsys):
    file.with_name("server.log.1").write_text("".join(f"old {number}\n" for number in range(30)))
    file.write_text("new 0\nnew 1\n")
    assert exit_code(["log", "--lines", "4"]) == 0
    said = capsys.readouterr()
    assert said.out == "old 28\nold 29\nnew 0\nnew 1\n"
    assert said.err == f"{file}\n"
    assert exit_code(["log"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 20
    assert exit_code(["log", "-n", "0"]) == 0
    assert capsys.readouterr().out == ""


def test_before_any_server_ran_it_is_one_line(file, capsys):
    assert exit_code(["log"]) == 1
    assert capsys.readouterr().err == f"unmask log: no server has written {file} yet\n"


def test_an_empty_one_is_said_to_be_empty(file, capsys):
    file.write_text("")
    assert exit_code(["log"]) == 0
    assert capsys.readouterr().err == f"{file}\nit holds nothing yet\n"


def test_bytes_that_are_no_text_are_shown_as_such(file, capsys):
    file.write_bytes(b"caf\xe9\n")
    assert exit_code(["log"]) == 0
    assert capsys.readouterr().out == "caf\ufffd\n"


def test_what_is_written_later_is_followed_also_into_a_new_file(file, tmp_path):
    shown = tmp_path / "shown"
    with shown.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from unmask_cli.start import main; main()", "log", "--follow", "-n", "1"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        # begun before there is one
        assert process.stderr.readline() == f"{file}\n"
        file.write_text("caf\u00e9\n")
        assert wait_until(lambda: shown.read_text() == "caf\u00e9\n")
        with file.open("a") as stream:
            stream.write("one\n")
        file.rename(file.with_name("server.log.1"))
        file.write_text("two\n")
        assert wait_until(lambda: shown.read_text() == "caf\u00e9\none\ntwo\n")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "unmask: interrupted\n"
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
