"""The places are what they say they are, and only right answers are right."""

import re
from collections import Counter

import pytest
from ordinary_places import CURSOR, is_right, pattern, places, plain, runs

from coder_model.text.syntax import errors_in

PLACES = places()
LANGUAGES = {"python", "javascript", "typescript", "go", "rust", "java", "c", "cpp", "lua", "ruby"}
KINDS = {"line": 5, "middle": 4, "block": 3}
COMMENT = {"python": "# as above", "ruby": "# as above", "lua": "-- as above"}


def each(places=PLACES):
    return pytest.mark.parametrize("place", places, ids=lambda place: place.name)


def neighbours(place):
    """The written lines above and below the cursor's."""
    above = [line.strip() for line in place.before.splitlines()[:-1] if line.strip()]
    below = [line.strip() for line in place.after.splitlines()[1:] if line.strip()]
    return [*above[-1:], *below[:1]]


def test_each_language_has_twelve_places_of_three_kinds():
    assert Counter((place.lang, place.kind) for place in PLACES) == {
        (lang, kind): count for lang in LANGUAGES for kind, count in KINDS.items()
    }
    assert len({place.name for place in PLACES}) == len(PLACES) == 120
    assert all(place.name.startswith(f"{place.lang}-") for place in PLACES)


@each()
def test_a_place_is_a_short_file_with_one_cursor_and_parses_with_its_answer(place):
    assert place.text.count(CURSOR) == 1
    assert 12 <= place.text.count("\n") <= 50
    assert errors_in(place.before + place.answer + place.after, place.lang) == 0
    line = place.before.rpartition("\n")[2] + place.after.partition("\n")[0]
    assert bool(line.strip()) == (place.kind == "middle")
    assert place.answer == place.answer.strip()


@each()
def test_the_answer_is_right_and_silence_a_comment_or_a_neighbouring_line_are_not(place):
    if place.right:
        assert any(pattern(written).fullmatch(plain(place.answer, place.lang)) for written in place.right)
    assert is_right(place, f"  {place.answer}\n")
    for wrong in ("", COMMENT.get(place.lang, "// as above"), *neighbours(place)):
        assert not is_right(place, wrong), wrong


@each([place for place in PLACES if place.right])
def test_a_pattern_speaks_of_the_whole_of_what_is_said(place):
    said = plain(f"{place.answer}\nsomething_else", place.lang)
    assert not any(pattern(written).fullmatch(said) for written in place.right)


@each([place for place in PLACES if place.run and runs(place.lang)])
def test_a_run_alone_tells_the_answer_from_an_empty_one(place):
    alone = type(place)(place.name, place.lang, place.file, place.kind, place.text, place.answer, (), place.run)
    assert is_right(alone, place.answer)
    assert not is_right(alone, "pass" if place.lang == "python" else "null")


def test_few_answers_can_be_copied_from_the_file():
    copied = [
        place.name
        for place in PLACES
        if any(plain(place.answer, place.lang) in plain(part, place.lang) for part in (place.before, place.after))
    ]
    assert len(copied) <= len(PLACES) / 4


@pytest.mark.parametrize(
    ("said", "lang", "left"),
    [
        ("return  a +\n  b", "python", "return a+b"),
        ("f('x')", "lua", 'f("x")'),
        ("f('x');", "c", "f('x');"),
        ('x += "a - b"  # said', "python", 'x+="a - b"'),
        ("f(a); // said\n/* more */ g(b);", "go", "f(a);g(b);"),
        ("const a = 1;\nreturn a;", "javascript", "const a=1 return a"),
        ("for (let i = 0; i < n; i++) { f(i); }", "typescript", "for(let i=0;i<n;i++){f(i)}"),
    ],
)
def test_spacing_comments_quotes_and_optional_semicolons_do_not_decide(said, lang, left):
    assert plain(said, lang) == left


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("python-words-append", "found += [word]  # long enough"),
        ("python-median-block", "import statistics\n    return statistics.median(values)"),
        ("javascript-user-setter", "this.#email = email"),
        ("javascript-ternary-label", "count + ' new messages'"),
        ("typescript-timer-stop", "clearInterval(this.handle);"),
        ("go-error-return", 'return nil, fmt.Errorf("reading %s: %w", path, err)'),
        ("rust-leap-year-block", "(year % 4 == 0 && year % 100 != 0)\n        || year % 400 == 0"),
        ("java-count-map", "counts.merge(candidate, 1, Integer::sum);"),
        (
            "c-count-char-block",
            "int n = 0;\n    while (*text) {\n  if (*text == letter) n++;\n  text++;\n }\n return n;",
        ),
        ("cpp-range-for", "auto truck : trucks"),
        ("lua-stack-pop", "return table.remove(self.items, #self.items);"),
        ("ruby-require-json", "require 'json'"),
    ],
)
def test_another_way_of_saying_it_is_right(name, said):
    assert is_right(next(place for place in PLACES if place.name == name), said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("python-temperature-return", "fahrenheit * 9 / 5 + 32"),
        ("python-median-block", "return sum(values) / len(values)"),
        ("javascript-stack-pop", "this.items.push(item);"),
        ("javascript-ternary-label", "`${count}new messages`"),
        ("typescript-queue-dequeue", "return this.items.pop();"),
        ("go-counter-unlock", "c.mu.Lock()"),
        ("rust-wallet-spend", "self.coins += coins;"),
        ("java-customer-setter", "return points;"),
        ("c-larger-return", "a < b ? a : b"),
        ("cpp-sort-lambda", "a.seconds > b.seconds"),
        ("lua-player-heal", "self.health = math.max(self.health + amount, 100)"),
        ("ruby-full-name", '"#{@last_name} #{@first_name}"'),
    ],
)
def test_the_mirror_of_what_is_meant_is_wrong(name, said):
    assert not is_right(next(place for place in PLACES if place.name == name), said)


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(re.error):
        pattern("f(")
