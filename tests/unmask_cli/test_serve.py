import os
import signal
import subprocess
import sys
import time

import httpx2
import pytest


def run(*arguments):
    code = "from unmask_cli.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_token_is_printed_and_its_hash_kept(tmp_path):
    done = run("serve", "token", "red", "ann", "--file", tmp_path / "tokens")
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    assert len(token) == 43
    assert token not in (tmp_path / "tokens").read_text()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            ["--config", "no.toml"],
            "serve: no.toml must be settings of `unmask serve`: No such file or directory\n",
        ),
        (["--host", "0.0.0.0"], "tokens must be a file where others can ask"),
        (["--port", "99999"], "--port"),
        (["--engine", "slurm"], "slurm"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, match):
    done = run("serve", *arguments)
    assert done.returncode != 0
    assert match in done.stderr
    assert "Traceback" not in done.stderr


def test_it_serves_until_it_is_asked_to_end():
    code = "from unmask_cli.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline().split()[-1]
        assert address.startswith("http://127.0.0.1:")
        asked = {"prompt": "def add(a, b):\n    return a + ", "suffix": "\n", "stop": "\n"}
        headers = {"x-deadline-ms": str(int(time.time() * 1000) + 55_000)}
        response = httpx2.post(f"{address}/v1/fim/completions", json=asked, headers=headers, timeout=60)
        assert response.status_code == 200, response.text
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
