import json

from lsp_server.usage_stats import KEPT_BACK, read_days
from unmask_cli.play.figures import of_folder


def write(folder, name, counts, milliseconds):
    (folder / name).write_text(json.dumps({"counts": counts, "milliseconds": milliseconds}))


def test_days_add_up_and_are_in_order(tmp_path):
    write(tmp_path, "2026-05-02-7.json", {"shown": 2, "filter:harm": 1}, {"8": 1})
    write(tmp_path, "2026-05-01-1.json", {"shown": 1}, {"4": 1})
    write(tmp_path, "2026-05-01-2.json", {"shown": 4}, {})
    assert {day: record.counts["shown"] for day, record in read_days(tmp_path).items()} == {
        "2026-05-01": 5,
        "2026-05-02": 2,
    }
    found = of_folder(tmp_path)
    assert [day["day"] for day in found["days"]] == ["2026-05-01", "2026-05-02"]
    assert found["total"]["counts"] == {"shown": 7}
    assert found["total"]["filters"] == {KEPT_BACK["harm"]: 1}
    assert found["total"]["histogram"] == [(2.0, 1), (4.0, 1)]
    assert found["total"]["ms"] == {"p50": 2.0, "p95": 4.0, "p99": 4.0}


def test_a_user_without_records_has_figures_that_can_be_written_as_json(tmp_path):
    found = of_folder(tmp_path / "none")
    assert found["days"] == []
    # no JSON has a number for what is not known
    assert json.loads(json.dumps(found, allow_nan=False))["total"]["ms"] == {}
