"""What the demo shows: suggestions, the table and the picture."""

from io import StringIO

from demo_file import LINES, PLACES, ghost, plain
from demo_places import Place, judge
from demo_view import Run, answer_view, place_view, save_picture, summary
from rich.console import Console


def shown(console, *what):
    for one in what:
        console.print(one)
    return console.file.getvalue()


def test_ghost_text_can_be_told_from_typed_text_with_and_without_colours():
    place = Place("a loop", 1, "for ", "x in y:")
    assert "for «a in b:\n" in shown(plain(), place_view(plain(), ["y = []"] * 2, place, "for ", "a in b:\n    pass"))
    colours = Console(file=StringIO(), width=120, force_terminal=True, color_system="truecolor")
    view = place_view(colours, ["y = []"] * 2, place, "for ", "a in b:")
    assert "«" not in view.plain
    assert any("green" in str(span.style) and view.plain[span.start : span.end] == "a in b:" for span in view.spans)


def test_a_suggestion_is_never_cut_by_a_narrow_terminal():
    text = "return sum(expense.amount for expense in expenses)"
    place = PLACES[1]
    console = plain(40)
    out = shown(console, answer_view(console, LINES, 1, judge(LINES, place, ghost(text, 1234.0)), "a-model"))
    assert text.replace(" ", "") in "".join(out.split())
    assert all(len(line) <= 40 for line in out.splitlines())


def test_the_table_counts_what_was_shown(tmp_path):
    texts = [PLACES[0].hidden, "", ")", *["None"] * (len(PLACES) - 3)]
    all_shown = tuple(judge(LINES, place, ghost(text, 10.0)) for place, text in zip(PLACES, texts, strict=True))
    run = Run("a-model", 0.49, 3.0, 400.0, all_shown)
    out = shown(plain(), summary([run, run]))
    for row in ("as in the file 1 of 11 1 of 11", "nothing offered 1 of 11", "reply, median 10 ms", "on disk 0.49 GB"):
        assert row in " ".join(out.split())
    save_picture(tmp_path / "a.svg", "a title", LINES, run, [1, 2])
    picture = (tmp_path / "a.svg").read_text("utf-8")
    assert "a-model" in picture
    assert "url(" not in picture.replace("url(#", "")
