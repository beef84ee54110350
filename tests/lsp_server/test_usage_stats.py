import math
from typing import get_args

import pytest

from coder_model.text.filters import FilterName
from lsp_server.lateness import TOO_LATE
from lsp_server.usage_stats import KEPT_BACK, Record, UsageStats, read_records, report, total


def test_what_is_saved_is_read_and_adds_up(tmp_path):
    for file in ("2026-01-01-1.json", "2099-01-01-1.json"):
        (tmp_path / file).write_text('{"counts": {"shown": 2, "requests": 3}, "milliseconds": {"4": 1}}')
    (tmp_path / "2099-01-01-2.json").write_text("no json")
    made = UsageStats(tmp_path)
    made.counts["shown"] += 5
    made.took(1.9)
    made.save()
    made.save()
    record = total(read_records(tmp_path))
    # the first file is older than is kept
    assert record.counts == {"shown": 7, "requests": 3}
    assert record.milliseconds == {4: 2}


def test_two_servers_of_one_number_keep_what_each_has_counted(tmp_path):
    for _ in range(2):
        made = UsageStats(tmp_path)
        made.counts["shown"] += 1
        made.save()
        made.save()
    assert total(read_records(tmp_path)).counts == {"shown": 2}


def test_nothing_counted_writes_nothing_and_a_disk_that_refuses_does_no_harm(tmp_path):
    UsageStats(tmp_path / "a").save()
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    made = UsageStats(tmp_path / "file" / "b")
    made.counts["shown"] += 1
    made.save()


@pytest.mark.parametrize("milliseconds", [0.0, 0.4, 1.0, 3.0, 40.0, 999.0])
def test_a_percentile_is_at_most_a_bucket_too_high(tmp_path, milliseconds):
    made = UsageStats(tmp_path)
    for _ in range(10):
        made.took(milliseconds)
    made.save()
    (record,) = read_records(tmp_path)
    assert milliseconds <= record.percentile(50) <= max(1.0, 1.2 * milliseconds)
    assert math.isnan(Record().percentile(50))


def test_the_report_says_shares():
    lines = report(Record({"requests": 10, "shown": 5, "accepted": 2, "kept": 1, "filter:repetition": 3}, {20: 10}))
    assert "shown                    5   50.0 % of requests" in lines
    assert "accepted                 2   40.0 % of shown" in lines
    assert "kept after 30 s          1   50.0 % of accepted" in lines
    assert "request to reply  p50 32 ms, p95 32 ms, p99 32 ms" in lines
    assert report(Record()) == ["nothing was asked yet"]


def test_next_edits_are_reported_where_there_were_any():
    lines = report(Record({"requests": 10, "shown": 5, "edits_offered": 4, "edits_accepted": 1}))
    assert "next edits               4" in lines
    assert "edits accepted           1   25.0 % of edits_offered" in lines


def test_answers_that_came_too_late_are_counted_and_where_they_are_many_the_report_says_what_helps():
    lines = report(Record({"requests": 10, "fills": 8, "late": 4}))
    assert "late                     4   50.0 % of fills" in lines
    assert TOO_LATE in lines
    assert TOO_LATE not in report(Record({"requests": 10, "fills": 9, "late": 4}))
    assert TOO_LATE not in report(Record({"requests": 10}))


def test_every_reason_to_keep_something_back_is_said_in_words():
    assert set(KEPT_BACK) == {"said_again", *get_args(FilterName)}
    lines = report(Record({"requests": 9} | {f"filter:{name}": 3 for name in KEPT_BACK}))
    for name, words in KEPT_BACK.items():
        assert f"{name:<18}       3  {words}" in lines
    assert max(map(len, lines)) <= 80
    assert not any("filter:" in line for line in lines)
