import json

import catalogue_tables
import pytest
import scores

FIGURES = {"n": 4, "exact": 25.0, "similarity": 50.0, "passed": 75.0, "empty": 50.0, "p50_ms": 10.0, "p95_ms": 20.0}


def record(folder, name, data="dev", device="cpu", **more):
    found = {"model": "small", "parameters": 2, "processor": "2 x CPU", "device": device, "date": "2026-11-27T00:00:00"}
    found |= {"data": scores.SETS[data][0], "figures": {"model": {"all": FIGURES, "copyable=False": FIGURES}}}
    (folder / f"{name}.json").write_text(json.dumps(found | {"peak_mb": 512, **more}))


def test_a_model_has_a_row_for_each_place_and_the_smallest_comes_first(tmp_path):
    record(tmp_path, "a", parameters=9, model="large", device="A GPU", gpu_peak_mb=2048)
    record(tmp_path, "b")
    record(tmp_path, "c", data="single")
    record(tmp_path, "d", device="A GPU")
    rows = scores.summed(tmp_path)
    assert [(row["model"], row["place"], list(row["sets"])) for row in rows] == [
        ("small", "2 x CPU", ["dev", "single"]),
        ("small", "A GPU", ["dev"]),
        ("large", "A GPU", ["dev"]),
    ]


def test_two_records_of_the_same_run_are_refused(tmp_path):
    record(tmp_path, "a")
    record(tmp_path, "b")
    with pytest.raises(ValueError, match="must hold one record of small on 2 x CPU for dev, found two"):
        scores.summed(tmp_path)


def test_the_table_leaves_out_what_was_not_measured(tmp_path, monkeypatch):
    record(tmp_path, "a")
    record(tmp_path, "b", data="single")
    monkeypatch.setattr(catalogue_tables, "load", lambda _: {"rows": scores.summed(tmp_path)})
    row = catalogue_tables.scores().splitlines()[2]
    assert row == "| small | 25.0 / 50.0 | 25.0 | 75.0 | - | - | - | - | - | 50.0 | 10 / 20 | 0.50 | 2 x CPU |"
