import contextlib
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


@contextlib.contextmanager
def server(*arguments):
    """A process of `unmask serve`, and its address."""
    code = "from unmask_cli.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.communicate()


def status(address):
    asked = {"prompt": "def add(a, b):\n    return a + ", "suffix": "\n", "stop": "\n"}
    headers = {"x-deadline-ms": str(int(time.time() * 1000) + 55_000)}
    return httpx2.post(f"{address}/v1/fim/completions", json=asked, headers=headers, timeout=60).status_code


def test_it_serves_until_it_is_asked_to_end():
    with server() as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert status(address) == 200
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
        assert process.stderr.read() == ""


def test_while_it_leaves_it_answers_and_says_that_it_is_not_ready(tmp_path):
    (tmp_path / "serve.toml").write_text("leave_s = 600\n")
    with server("--config", tmp_path / "serve.toml") as (process, address):
        assert status(address) == 200
        assert httpx2.get(f"{address}/healthz").status_code == 200
        os.kill(process.pid, signal.SIGTERM)
        while httpx2.get(f"{address}/healthz").status_code == 200:
            pass
        assert httpx2.get(f"{address}/healthz").json() == {"status": "the server ends"}
        assert status(address) == 200
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
        assert process.stderr.read() == ""
