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


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("pass", "measured"),
        ("raise SystemExit(3)", "broken"),
        ("import time; time.sleep(60)", "not done in 0.02 minutes"),
    ],
)
def test_a_benchmark_has_measured_is_broken_or_not_done(tmp_path, code, outcome):
    script = tmp_path / "job.py"
    script.write_text(code)
    found = nightly.run({"command": [str(script), "{out}"], "minutes": 0.02})
    assert found["outcome"] == outcome


def test_figures_of_a_run_are_kept(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps({'scale': os.environ['UNMASK_SCALE']}))"
    )
    found = nightly.run({"command": [str(script), "{out}"], "minutes": 0.5, "scale": 7})
    assert found["figures"] == {"scale": "7"}


def test_what_needs_another_machine_says_so():
    assert nightly.run({"elsewhere": "a GPU"}) == {"outcome": "not here", "seen": "a GPU", "seconds": 0}


def test_what_was_run_at_this_commit_is_not_run_again(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(nightly, "RECORD", tmp_path / "nightly.json")
    monkeypatch.setattr(nightly, "commit", lambda: "abc")
    monkeypatch.setattr(nightly, "run", lambda one: ran.append(one["number"]) or {"outcome": "kept", "seconds": 0})
    for arguments in (["--only", "1", "2"], ["--only", "1", "2", "3"], ["--only", "3", "--again"]):
        monkeypatch.setattr(sys, "argv", ["nightly.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            nightly.main()
        assert ended.value.code == 0
    assert ran == [1, 2, 3, 3]
    assert list(json.loads((tmp_path / "nightly.json").read_text())["promises"]) == ["1", "2", "3"]
