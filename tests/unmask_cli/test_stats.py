import json

import pytest
from commands import exit_code

from lsp_server.usage_stats import Record, default_folder, read_days
from unmask_cli.stats import as_object, plotted

FIRST = {"counts": {"requests": 100, "shown": 40, "accepted": 1}, "milliseconds": {"0": 50, "26": 50}}
SECOND = {"counts": {"requests": 50, "shown": 20, "accepted": 10}, "milliseconds": {"28": 50}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = default_folder()
    made.mkdir(parents=True)
    return made


@pytest.fixture
def days(folder):
    (folder / "2026-11-26-7.json").write_text(json.dumps(FIRST))
    for number in (1, 2):
        (folder / f"2026-11-27-{number}.json").write_text(json.dumps(SECOND))
    (folder / "2026-11-28-1.json").write_text("no json")
    return folder


def lines(record, days, width=200):
    return [line.plain for line in plotted(record, days, width, "█▓░")]


def test_records_of_a_day_add_up(days):
    found = read_days(days)
    assert list(found) == ["2026-11-26", "2026-11-27"]
    assert found["2026-11-27"] == Record({"requests": 100, "shown": 40, "accepted": 20}, {28: 100})


def test_bars_are_drawn_below_the_figures(days, capsys):
    assert exit_code(["stats", "--plot"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("requests               200\n")
    assert "day by day: █ accepted, ▓ shown, ░ asked" in said


def test_latencies_are_counted_by_doubling_with_the_empty_ones_between(days):
    found = lines(Record({}, {0: 50, 26: 25, 28: 100}), {})
    assert found[0] == "\nrequest to reply"
    assert found[1] == f"below       1 ms       50  {'█' * 24}"
    assert found[2] == "below       2 ms        0  "
    assert found[-1] == f"below     128 ms      125  {'█' * 60}"
    assert len(found) == 1 + 8


def test_a_day_is_a_bar_whose_parts_hold_each_other():
    of_day = {"2026-11-27": Record({"requests": 100, "shown": 50, "accepted": 10})}
    of_day["2026-11-28"] = Record({"requests": 1, "shown": 1, "accepted": 1})
    _, whole, little = lines(Record(), of_day)
    assert whole == f"2026-11-27      100  {'█' * 6}{'▓' * 24}{'░' * 30}"
    # what is there at all is seen
    assert little == "2026-11-28        1  █"


def test_only_the_last_days_are_drawn_and_those_without_a_request_are_not():
    days = {f"2026-10-{day:02}": Record({"requests": day}) for day in range(32)}
    found = lines(Record(), days)
    assert [line[:10] for line in found[1:]] == [f"2026-10-{day:02}" for day in range(2, 32)]


@pytest.mark.parametrize("width", [20, 60, 80, 300])
def test_bars_fit_the_terminal(width):
    record = Record({"requests": 10**6}, {40: 10**6})
    assert max(map(len, lines(record, {"2026-11-27": record}, width))) <= max(width, 42)


def test_where_blocks_cannot_be_written_there_are_other_signs(days, capsys, monkeypatch):
    monkeypatch.setattr("unmask_cli.stats._BLOCKS", "\udc80▓░")
    assert exit_code(["stats", "--plot"]) == 0
    assert "day by day: # accepted, = shown, - asked" in capsys.readouterr().out


def test_json_has_all_figures(days, capsys):
    assert exit_code(["stats", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"requests": 200, "shown": 80, "accepted": 21}
    assert found["milliseconds"] == {"p50": 90.5, "p95": 128.0, "p99": 128.0}
    assert found["latencies"][1] == {"below_ms": 90.5, "requests": 50}
    assert found["days"]["2026-11-26"] == FIRST["counts"]


def test_before_anything_was_asked_nothing_is_drawn_and_nothing_is_a_number(folder, capsys):
    assert exit_code(["stats", "--plot"]) == 0
    assert capsys.readouterr().out == "nothing was asked yet\n"
    assert as_object(Record(), {})["milliseconds"] == {"p50": None, "p95": None, "p99": None}


def test_a_plot_is_no_json(capsys):
    assert exit_code(["stats", "--plot", "--json"]) == 2
    assert capsys.readouterr().err == "unmask stats: --plot or --json may be given, not both\n"
