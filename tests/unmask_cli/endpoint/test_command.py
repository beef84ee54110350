import signal
import stat
import subprocess
import sys

import pytest

from coder_model.types import InvalidInput
from unmask_cli.endpoint.command import read_token, token_file

UNMASK = [sys.executable, "-P", "-c", "from unmask_cli.start import main; main()"]


def test_it_prints_the_addresses_and_where_the_key_is_and_never_the_key():
    process = subprocess.Popen(
        [*UNMASK, "http", "--port", "0", "--model", "embedded"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = [process.stdout.readline() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert lines[0].startswith("http://127.0.0.1:")
    assert lines[0].endswith("/v1/completions\n")
    assert lines[1].endswith("/infill\n")
    assert str(token_file()) in lines[2]
    assert lines[3] == "embedded is ready\n"
    assert read_token(token_file()) not in "".join(lines)
    assert (process.returncode, error) == (130, "unmask: interrupted\n")


def test_the_key_stays_and_is_its_users_alone(tmp_path):
    file = tmp_path / "new" / "http-token"
    token = read_token(file)
    assert len(token) == 43
    assert read_token(file) == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "short", "é" * 50])
def test_a_key_that_could_be_guessed_is_refused(tmp_path, content):
    file = tmp_path / "http-token"
    file.write_text(content)
    with pytest.raises(InvalidInput, match="must hold a key of 43 characters or more"):
        read_token(file)
