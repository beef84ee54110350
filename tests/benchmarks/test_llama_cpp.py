import json
import sys

import llama_cpp
import llama_players
import pytest
from llama_cpp import INFILL, NGRAM, OURS, PLAIN
from llama_players import Line
from llama_server import LlamaServer

from coder_model.engine.engine import Engine
from coder_model.evaluation.cases import Case
from coder_model.types import FillRequest

SERVER = """#!{python}
import http.server, json, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply({{}})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        times = {{"prompt_n": 5, "prompt_ms": 10.0, "predicted_n": 2, "predicted_ms": 4.0}}
        self.reply({{"content": json.dumps([self.path, asked]), "timings": times}})
    def reply(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
    def log_message(self, *_):
        pass

port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


@pytest.fixture
def server(tmp_path):
    command = tmp_path / "llama-server"
    command.write_text(SERVER.format(python=sys.executable))
    command.chmod(0o755)
    running = LlamaServer(str(command), tmp_path / "x.gguf", 1, 512)
    yield running
    running.close()


def line(text="x", ms=10.0):
    return Line(text, ms, read=100, read_ms=ms / 2, said=4, passes=4, said_ms=ms / 2)


def test_a_session_types_every_key_once_and_leaves_what_was_typed():
    places = llama_cpp.presses(60)
    assert [len(place) - 1 for place in places] == [24, 24, 12]
    for place in places:
        first, last = place[0], place[-1]
        assert [len(one.prefix) - len(first.prefix) for one in place] == list(range(len(place)))
        assert {one.suffix for one in place} == {first.suffix}
        assert last.prefix.startswith(first.prefix)
    typed = [place[-1].prefix.rpartition("\n")[2] for place in places]
    last = places[-1][-1]
    assert all(text in last.prefix + last.suffix for text in typed)


def test_the_others_are_shown_the_tokens_that_our_model_is_shown(server):
    engine = Engine.load()
    request = FillRequest("1", "def add(first, second):\n    return fir", "\n\nprint(add(1, 2))\n", "a.py", "python")
    said = llama_players.theirs(server, engine)(request, True)
    path, asked = json.loads(said.text)
    *tokens, text = asked["prompt"]
    assert (path, asked["cache_prompt"], asked["stop"]) == ("/completion", True, ["\n"])
    assert engine._tokenizer.decode(tokens).endswith("return")
    assert text == " fir"
    assert (said.read, said.read_ms, said.said, said.said_ms) == (5, 10.0, 2, 4.0)
    assert said.ms > 0


def test_infill_is_asked_with_the_line_before_the_cursor_apart(server):
    path, asked = json.loads(llama_players.infill(server)(FillRequest("1", "a\nb\n  c", "\nd"), False).text)
    assert path == "/infill"
    parts = [asked[name] for name in ("input_prefix", "prompt", "input_suffix", "cache_prompt")]
    assert parts == ["a\nb\n", "  c", "\nd", False]


def test_a_server_that_does_not_start_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"false -m .*x.gguf .* did not start"):
        LlamaServer("false", tmp_path / "x.gguf", 1, 512)


def test_our_cold_requests_are_of_documents_never_seen_and_warm_ones_of_one(server):
    asked = []

    class Spy(Engine):
        def fill(self, request, *more):
            asked.append(request.session)
            return super().fill(request, *more)

    ask = llama_players.ours(Spy.load())
    request = FillRequest("typing", "x = 1\ny = ", "\n", "a.py", "python")
    for warm in (False, False, True):
        said = ask(request, warm)
        assert 0 < said.read_ms <= said.ms
        assert said.read > 0
    assert len({*asked}) == 3
    assert asked[2] == "typing"


def test_each_is_first_as_often_as_the_others():
    order = []

    def player(name):
        return lambda request, warm: order.append((name, warm)) or line()

    players = {name: player(name) for name in (OURS, PLAIN)}
    asked = [(Case("1", "python", "", "", "x"), FillRequest("", "a", "b"))] * 4
    assert {name: len(lines) for name, lines in llama_cpp.cold(players, asked).items()} == {OURS: 4, PLAIN: 4}
    assert [name for name, _ in order[::2]] == [OURS, PLAIN, OURS, PLAIN]
    assert not any(warm for _, warm in order)


def test_drafts_are_asked_for_at_every_second_hole():
    players = {name: lambda request, warm: line() for name in (OURS, NGRAM)}
    asked = [(Case("1", "python", "", "", "x"), FillRequest("", "a", "b"))] * 5
    assert {name: list(lines) for name, lines in llama_cpp.cold(players, asked).items()} == {
        OURS: [0, 1, 2, 3, 4],
        NGRAM: [0, 2, 4],
    }


def test_when_the_time_is_over_two_holes_and_one_key_are_all():
    players = {OURS: lambda request, warm: line()}
    asked = [(Case("1", "python", "", "", "x"), FillRequest("", "a", "b"))] * 5
    assert len(llama_cpp.cold(players, asked, until=0)[OURS]) == 2
    assert [len(place) for place in llama_cpp.typing(players, llama_cpp.presses(120), until=0)[OURS]] == [2]


def test_prefix_first_is_asked_for_a_part_of_the_keys():
    counts = dict.fromkeys((OURS, INFILL), 0)

    def player(name):
        def ask(request, warm):
            assert warm
            counts[name] += 1
            return line()

        return ask

    found = llama_cpp.typing({name: player(name) for name in counts}, llama_cpp.presses(120))
    figures = llama_cpp.typing_figures(found)
    assert (figures[OURS]["keys"], figures[INFILL]["keys"]) == (120, 24)
    assert counts == {OURS: 120 + 5, INFILL: 24 + 1}


def test_figures_say_how_many_times_as_long_as_ours_the_others_take():
    cases = [Case(str(number), "python", "", "", "x") for number in range(2)]
    lines = {OURS: [line(), line()], PLAIN: [line("y", 30.0), line("x", 20.0)], NGRAM: [line("x", 15.0)]}
    figures = llama_cpp.cold_figures({name: dict(enumerate(said)) for name, said in lines.items()}, cases)
    assert figures[PLAIN] == {
        "holes": 2,
        "p50_ms": 25.0,
        "p95_ms": 29.5,
        "prompt_tokens": 100,
        "prompt_tokens_per_s": 8000,
        "tokens": 4.0,
        "tokens_per_s": 320.0,
        "exact": 50.0,
        "times_ours": 2.5,
        "same_line": 1,
        "same_line_times_ours": 2.0,
    }
    assert figures[NGRAM]["times_ours"] == 1.5
    assert figures[OURS]["times_ours"] == figures[OURS]["same_line_times_ours"] == 1
