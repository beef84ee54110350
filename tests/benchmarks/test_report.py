from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report(monkeypatch, tmp_path):
    import matplotlib as mpl

    mpl.use("svg")
    import report

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(report, "FIGURES", tmp_path)
    return report


def test_the_report_says_what_the_results_say(report):
    assert report.report() == (ROOT / "docs/model.md").read_text("utf-8")


def test_a_curve_is_drawn_of_any_run(report, tmp_path):
    rows = [{"tokens": n, "tokens_per_second": 9, "valid_middle": 1.0} for n in (1, 2)]
    report.draw_curves(rows, "log", tmp_path)
    assert "</svg>" in (tmp_path / "log.svg").read_text()


def test_the_report_on_the_server_says_what_the_results_say(monkeypatch):
    import report_server

    monkeypatch.chdir(ROOT)
    assert report_server.report() == (ROOT / "docs/server.md").read_text("utf-8")
