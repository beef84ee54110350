import signal
import socket
import subprocess
import sys
import webbrowser

import pytest

from lsp_server.user_settings import UserSettings
from unmask_cli.play import command

UNMASK = [sys.executable, "-P", "-c", "from unmask_cli.start import main; main()"]


def test_it_prints_the_address_and_ends_with_one_line():
    process = subprocess.Popen(
        [*UNMASK, "play", "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    address = process.stdout.readline()
    assert address.startswith("http://127.0.0.1:")
    assert len(address.partition("#")[2].strip()) >= 43
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "unmask: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.py"], "unmask play: gone.py must be a readable file: No such file or directory\n"),
        ([".env"], "unmask play: .env must be a file that a model may see: its name is that of a file with secrets\n"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(tmp_path, arguments, message):
    (tmp_path / ".env").write_text("KEY=1\n")
    done = subprocess.run([*UNMASK, "play", *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (2, message)


def test_a_port_that_is_taken_is_one_line_and_exit_code_two():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*UNMASK, "play", "--port", port], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"unmask play: --port must be free on this machine, got {port}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("answer", [False, webbrowser.Error("none")])
async def test_without_a_browser_the_person_is_told_to_open_the_address(monkeypatch, capsys, answer):
    def opened(_):
        if answer:
            raise answer
        return answer

    monkeypatch.setattr(webbrowser, "open", opened)
    await command._open("http://127.0.0.1:1/#a")
    assert capsys.readouterr().out == "no browser was found: open the address above in one on this machine\n"


async def test_a_browser_gets_the_whole_address(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(webbrowser, "open", lambda address: seen.append(address) or True)

    async def run(self, port, ready):
        self.port = 7
        ready()
        while not seen:
            await command.asyncio.sleep(0.01)

    monkeypatch.setattr(command.PageServer, "run", run)
    await command.play(None, UserSettings(), 0, opens=True)
    assert seen == [capsys.readouterr().out.splitlines()[0]]
