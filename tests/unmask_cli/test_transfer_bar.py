"""How a transfer is shown."""

from io import StringIO

import pytest
from rich.console import Console

from coder_model.checkpoints.transfer import TransferProgress
from unmask_cli.transfer_bar import TransferBar


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_transfer_is_shown_with_speed_and_time_left(is_terminal):
    shown = StringIO()
    with TransferBar(Console(file=shown, force_terminal=is_terminal, width=120)) as bar:
        bar.note("found [nothing]" + " and looked for it" * 9)
        for done in range(0, 10_000_000_001, 100_000_000):
            bar.report(TransferProgress("the hub", done, 10_000_000_000, 2e6))
    text = shown.getvalue()
    assert "found [nothing]" + " and looked for it" * 9 in text
    assert "from the hub" in text
    assert "2.0 MB/s" in text
    if not is_terminal:
        assert "from the hub: 1.00 of 10.00 GB, 2.0 MB/s, 4500 s left" in text
        assert len(text.splitlines()) == 12
