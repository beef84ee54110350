import asyncio
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from lsp_server.backends.base import BackendUnavailable
from unmask_cli.waiting import until_ready, waiting


def terminal(is_one=True):
    return Console(file=io.StringIO(), force_terminal=is_one, width=100)


def shown(console):
    return console.file.getvalue()


def test_on_a_terminal_it_is_shown_and_goes_again():
    console = terminal()
    with waiting("[the model] is loading", console) as advance:
        advance(0.5, "half of it")
    text = shown(console)
    assert "[the model] is loading" in text
    assert "half of it" in text
    # the line is erased, the cursor comes back
    assert text.endswith("\x1b[2K")
    assert "\x1b[?25h" in text


def test_elsewhere_nothing_is_said():
    console = terminal(is_one=False)
    with waiting("the model is loading", console) as advance:
        advance(0.5, "half of it")
    assert shown(console) == ""


def test_an_error_takes_it_away_and_goes_on():
    console = terminal()
    with pytest.raises(ValueError, match="broken"), waiting("the model is loading", console):
        raise ValueError("broken")
    assert "\x1b[?25h" in shown(console)


def loading(shares, failure=None):
    """A backend whose model is there in steps."""

    async def wait_ready():
        for share in shares:
            made.share_loaded = share
            made.on_change()
        if failure:
            raise failure

    made = SimpleNamespace(share_loaded=0.0, on_change=None, wait_ready=wait_ready)
    return made


def test_how_much_of_a_model_is_loaded_is_shown():
    console, backend = terminal(), loading([0.0, 0.4, 1.0])
    asyncio.run(until_ready(backend, console))
    assert "the model is loading" in shown(console)
    assert "a first try" in shown(console)
    # what changes later is nobody's concern
    backend.on_change()


def test_a_model_that_never_loads_is_said_as_before():
    with pytest.raises(BackendUnavailable, match="no weights"):
        asyncio.run(until_ready(loading([0.4], BackendUnavailable("no weights")), terminal()))


def test_a_command_shows_it_on_stderr_and_leaves_its_output_alone(model_directory, tmp_path):
    file = tmp_path / "a.py"
    file.write_text("x = 1\ny = \n")
    terminal_end, side = os.openpty()
    start = [sys.executable, "-P", "-c", "from unmask_cli.start import main; main()"]
    process = subprocess.Popen(
        [*start, "fill", str(file), "--at", "2:5", "--json", "--model", str(model_directory)],
        stdout=subprocess.PIPE,
        stderr=side,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(side)
    seen = b""
    try:
        while data := os.read(terminal_end, 4096):
            seen += data
    except OSError:
        # a terminal whose other end is closed
        pass
    output, _ = process.communicate()
    os.close(terminal_end)
    assert process.returncode == 0
    assert b"the model is loading" in seen
    assert output.startswith(b"{")
    assert output.count(b"\n") == 1
