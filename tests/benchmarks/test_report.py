from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("svg")

import records
import report

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", report.PAGES)
def test_a_page_says_what_the_results_say(name):
    assert report.page(name) == (DOCS / name).read_text("utf-8")


def test_every_mark_of_a_page_is_filled_by_the_report():
    for page in DOCS.glob("*.md"):
        marks = [line[12:-4] for line in page.read_text("utf-8").splitlines() if line.startswith("<!-- end of ")]
        assert marks == [mark for mark in marks if mark in report.PAGES.get(page.name, {})], page.name


def test_a_part_of_a_page_stands_between_its_marks():
    page = "before\n<!-- a -->\nold\n<!-- end of a -->\nafter"
    assert records.between(page, {"a": "new \\1\n"}) == page.replace("old", "new \\1")
    with pytest.raises(ValueError, match=r"must hold <!-- b --> and <!-- end of b --> once, found them 0 times"):
        records.between(page, {"b": ""})


def test_a_table_has_a_row_for_each_name_and_a_column_for_each_format():
    columns = {"": "{name}", "n": "{n}", "twice": lambda name, figures: f"{name} {2 * figures['n']}"}
    assert records.table({"a": {"n": 1}, "b": {"n": 2}}, columns) == (
        "|  | n | twice |\n| --- | --- | --- |\n| a | 1 | a 2 |\n| b | 2 | b 4 |\n"
    )


def test_a_curve_is_drawn_of_any_run(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text(
        '{"tokens": 1, "tokens_per_second": 9, "valid_middle": 1.0}\n{"tokens": 2, "tokens_per_second": 9}\n'
    )
    report.draw_curve(log, log.with_suffix(".svg"))
    assert "</svg>" in (tmp_path / "log.svg").read_text()
