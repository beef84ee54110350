"""Places of the demo's file, and what is said of a suggestion there."""

import subprocess
import sys

import pytest
from demo_file import LINES, PLACES, ghost
from demo_places import FILE, judge, places, type_at


def test_the_demo_file_does_what_it_says(tmp_path):
    (tmp_path / "spent.csv").write_text("day,category,amount\n2026-01-02,food,12.5\n2026-02-03,rent,700\n")
    ran = subprocess.run(
        [sys.executable, FILE, tmp_path / "spent.csv", "--largest", "1"], capture_output=True, text=True
    )
    assert ran.stderr == ""
    assert "2 expenses, 712.50 in all, 356.25 on average" in ran.stdout
    assert ran.stdout.splitlines()[-1].split() == ["2026-02-03", "rent", "700.00"]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
def test_the_files_own_text_is_as_in_the_file_and_no_text_is_nothing(place):
    assert LINES[place.row] == place.before + place.hidden.split("\n")[0]
    assert judge(LINES, place, ghost(place.hidden)).verdict == "as in the file"
    assert judge(LINES, place, ghost(place.hidden)).similarity == 1.0
    assert judge(LINES, place, ghost("")).verdict == "nothing"
    assert judge(LINES, place, ghost(")]}")).verdict == "does not parse"


class Typist:
    """An editor of one document, which never loses a character."""

    def open(self, uri, text):
        self.lines = text.split("\n")

    def type(self, line, column, text):
        assert column == len(self.lines[line])
        self.lines[line] += text

    def start(self, line, column):
        return 1

    def is_answered(self, number):
        return True

    def wait(self, number):
        return ghost("")

    def close_document(self):
        self.closed = self.lines


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
def test_the_text_of_a_place_was_never_there_for_the_server_as_what_is_deleted_is_not_said_again(place):
    typist = Typist()
    type_at(typist, LINES, place, lambda *_: None, key_s=0.0)
    rest = place.row + len(place.hidden.split("\n"))
    assert typist.closed == [*LINES[: place.row], place.before, *LINES[rest:]]


def test_other_text_is_told_from_text_that_is_no_python():
    place = next(place for place in PLACES if place.kind == "the body behind a docstring")
    assert judge(LINES, place, ghost("return 0.0")).verdict == "parses"
    assert judge(LINES, place, ghost("return sum(")).verdict == "does not parse"
    assert judge(LINES, place, ghost("return '\0'")).verdict == "does not parse"


def test_a_place_that_is_not_there_once_is_named():
    with pytest.raises(ValueError, match="must hold .* once, found it 0 times"):
        places([])
