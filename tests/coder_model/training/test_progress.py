import io

from rich.console import Console

from coder_model.training import progress
from coder_model.training.progress import Ticker, left


def test_without_a_terminal_a_line_is_said_every_some_seconds():
    out, now = io.StringIO(), [0.0]
    with Ticker(Console(file=out), lambda: now[0]) as ticker:
        for second in range(12):
            now[0] = float(second)
            ticker.tell(f"at {second}")
    assert out.getvalue().splitlines() == [f"at {progress.EVERY_S:.0f}", f"at {2 * progress.EVERY_S:.0f}"]


def test_a_terminal_shows_each_state_and_nothing_stays():
    out = io.StringIO()
    with Ticker(Console(file=out, force_terminal=True, width=40)) as ticker:
        ticker.tell("one of two")
    assert "one of two" in out.getvalue()
    assert out.getvalue().endswith("\x1b[2K")


def test_times_are_said_as_people_say_them():
    assert [left(s) for s in (0.2, 99, 600, 20_000)] == ["0 s", "99 s", "10 min", "5.6 h"]
