"""What is measured of ghost text as it is drawn: which answer belongs to which key, and what stands between the two."""

import io
import json
import subprocess
import sys

import editor_tables
import relay
from drawn import Key, answer_to, figures, places
from neovim import ROOT
from records import load

ANSWERS = [
    {"at": 10.0, "ms": 5.0, "shows": False},
    {"at": 10.2, "ms": 7.0, "shows": True},
    {"at": 20.0, "ms": 9.0, "shows": True},
]


def framed(**message):
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_the_answer_to_a_key_is_the_first_behind_it_that_shows_something():
    assert answer_to(Key(500.0, 9.9), ANSWERS) == 7.0
    assert answer_to(Key(500.0, 19.9), ANSWERS) == 9.0


def test_what_is_asked_after_ghost_text_was_drawn_is_no_answer_to_its_key():
    assert answer_to(Key(200.0, 9.9), ANSWERS) is None


def test_figures_count_what_was_drawn_beside_what_the_server_took_for_it():
    found = figures({"asked": [Key(400.0, 9.9), Key(None, 19.0)], "typed": [Key(3.0, 30.0)]}, ANSWERS)
    assert found == {
        "asked, p50 ms": 400.0,
        "asked, p95 ms": 400.0,
        "asked, server, p50 ms": 7.0,
        "asked, server, p95 ms": 7.0,
        "asked, drawn": "1 of 2",
        "typed, p50 ms": 3.0,
        "typed, p95 ms": 3.0,
        "typed, server, p50 ms": None,
        "typed, server, p95 ms": None,
        "typed, drawn": "1 of 1",
    }


def test_places_end_where_something_was_written():
    assert len(places(5)) == 5
    assert all(line.start.endswith((" = ", "return ", "(")) for line in places(30))


def test_messages_are_read_as_they_came():
    sent = [framed(id=1, result="é"), framed(method="x")]
    assert list(relay.messages(io.BytesIO(b"".join(sent)))) == [
        (sent[0], {"id": 1, "result": "é"}),
        (sent[1], {"method": "x"}),
    ]


def test_the_relay_changes_nothing_and_notes_what_was_asked_and_answered(tmp_path):
    echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read().replace(b'method', b'result'))"
    sent = framed(id=7, method=relay.ASKED)
    command = [sys.executable, str(ROOT / "benchmarks" / "relay.py"), "--times", str(tmp_path / "times")]
    done = subprocess.run([*command, sys.executable, "-c", echo], input=sent, capture_output=True, check=True)
    assert done.stdout == sent.replace(b"method", b"result")
    (line,) = (tmp_path / "times").read_text().splitlines()
    noted = json.loads(line)
    assert noted["ms"] > 0
    assert set(noted) == {"at", "ms", "shows"}


def test_a_table_has_each_editor_and_the_server_beside_it():
    rows = editor_tables.drawn().splitlines()
    assert all(editor in rows[0] for editor in load("drawn")["editors"])
    assert len([row for row in rows if row.startswith("| the server")]) == len(editor_tables.DRAWN)
