import json
import sys
from pathlib import Path

import nightly
import pytest

ROOT = Path(__file__).parents[2]


def test_there_are_twenty_five_promises_and_each_is_shown_somehow():
    found = nightly.promises()
    assert [one["number"] for one in found] == list(range(1, 26))
    for one in found:
        assert sum(way in one for way in ("tests", "command", "elsewhere")) == 1
        files = [name for name in one.get("tests", []) if name.startswith("tests/")] + one.get("command", [])[:1]
        assert all((ROOT / name).exists() for name in files), files
        assert "elsewhere" in one or one["minutes"] > 0
        # some tests count in whole numbers
        assert one.get("scale", 1) % one.get("pieces", 1) == 0


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("pass", "measured"),
        ("raise SystemExit(3)", "broken"),
        ("import time; time.sleep(60)", "not done in 0.02 minutes"),
    ],
)
def test_a_benchmark_has_measured_is_broken_or_not_done(tmp_path, code, outcome, capsys):
    script = tmp_path / "job.py"
    script.write_text(f"print('what it said', flush=True)\n{code}")
    found = nightly.run({"command": [str(script), "{out}"], "minutes": 0.02})
    assert found["outcome"] == outcome
    assert ("what it said" in capsys.readouterr().out) == (outcome != "measured")


def test_figures_of_a_run_are_kept(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps({'scale': os.environ['UNMASK_SCALE']}))"
    )
    found = nightly.run({"command": [str(script), "{out}"], "minutes": 0.5, "scale": 7})
    assert found["figures"] == {"scale": "7"}


def test_a_benchmark_keeps_whatever_it_writes(tmp_path):
    script = tmp_path / "job.py"
    script.write_text('import sys; open(sys.argv[1], \'w\').write(\'{"date": "today", "seconds": 3, "phases": []}\')')
    found = nightly.joined([nightly.run({"command": [str(script), "{out}"], "minutes": 1})], 1)
    assert (found["outcome"], found["figures"]) == ("measured", {"date": "today", "seconds": 3, "phases": []})


def test_what_needs_another_machine_says_so():
    assert nightly.run({"elsewhere": "a GPU"}) == {"outcome": "not here", "seen": "a GPU", "seconds": 0}


def test_what_was_run_at_this_commit_is_not_run_again(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(nightly, "RECORD", tmp_path / "nightly.json")
    monkeypatch.setattr(nightly, "commit", lambda: "abc")
    monkeypatch.setattr(
        nightly, "run", lambda one, piece: ran.append(one["number"]) or {"outcome": "kept", "seconds": 0}
    )
    for arguments in (["--only", "5", "6"], ["--only", "5", "6", "7"], ["--only", "7", "--again"]):
        monkeypatch.setattr(sys, "argv", ["nightly.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            nightly.main()
        assert ended.value.code == 0
    assert ran == [5, 6, 7, 7]
    assert list(json.loads((tmp_path / "nightly.json").read_text())["promises"]) == ["5", "6", "7"]


def test_a_promise_goes_on_where_a_piece_of_it_ended(tmp_path, monkeypatch):
    ran = []

    def run(promise, piece):
        ran.append(piece)
        # the time is over while the third piece runs
        if len(ran) == 3:
            clock.append(1e9)
        return {"outcome": "kept", "seconds": 2, "figures": {"keys": {"keys": 5, "slowest_s": piece / 10}}}

    clock = [0.0]
    monkeypatch.setattr(nightly, "RECORD", tmp_path / "nightly.json")
    monkeypatch.setattr(nightly, "commit", lambda: "abc")
    monkeypatch.setattr(nightly, "run", run)
    monkeypatch.setattr(nightly.time, "monotonic", lambda: clock[-1])
    promise = {"number": 4, "what": "x", "pieces": 5}
    assert nightly.recorded([promise], 60.0, False) == ["4"]
    seen = json.loads((tmp_path / "nightly.json").read_text())["promises"]["4"]
    assert (ran, seen["outcome"], seen["seconds"]) == ([0, 1, 2], "3 of 5 pieces", 6)
    clock.append(0.0)
    assert nightly.recorded([promise], 60.0, False) == []
    assert ran == [0, 1, 2, 3, 4]
    seen = json.loads((tmp_path / "nightly.json").read_text())["promises"]["4"]
    assert (seen["outcome"], seen["figures"]["keys"]) == ("kept", {"keys": 25, "slowest_s": 0.4})


def test_a_broken_piece_ends_a_promise(tmp_path, monkeypatch):
    ends = iter(["kept", "broken", "kept"])
    monkeypatch.setattr(nightly, "RECORD", tmp_path / "nightly.json")
    monkeypatch.setattr(nightly, "commit", lambda: "abc")
    monkeypatch.setattr(nightly, "run", lambda one, piece: {"outcome": next(ends), "seconds": 1})
    assert nightly.recorded([{"number": 4, "what": "x", "pieces": 5}], float("inf"), False) == ["4"]
    assert next(ends) == "kept"


def test_to_try_is_small_and_leaves_no_record(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(nightly, "RECORD", tmp_path / "nightly.json")
    monkeypatch.setattr(nightly, "run", lambda one: ran.append(one) or {"outcome": "measured", "seconds": 0})
    promise = {"number": 8, "command": ["a.py"], "small": ["--starts", "2"], "scale": 7, "pieces": 7}
    assert nightly.tried([promise], float("inf")) == []
    assert (ran[0]["command"], ran[0]["scale"], ran[0]["pieces"]) == (["a.py", "--starts", "2"], 1, 1)
    assert not (tmp_path / "nightly.json").exists()
