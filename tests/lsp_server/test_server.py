"""The real server as a process, a real client, and a fake model."""

import os
import time

import pytest
from fakes import CANCELLED, MODIFIED, SERVER, URI, ask, span
from lsp_client import LspClient, RequestFailed
from processes import wait_until

from lsp_server.usage_stats import read_records, total


def test_the_capability_is_announced(shared):
    assert shared.capabilities["inlineCompletionProvider"] == {}
    assert shared.capabilities["textDocumentSync"]["change"] == 2


def test_ghost_text_comes_with_an_empty_range_at_the_cursor(shared):
    (item,) = ask(shared, "x = 1\ny = \n", 1, 4)
    assert item["insertText"] == "<y = |line|~>"
    at = {"line": 1, "character": 4}
    assert item["range"] == {"start": at, "end": at}
    (facts,) = item["command"]["arguments"]
    assert isinstance(facts.pop("id"), int)
    assert facts == {"steps": 2, "tokens": 3, "elapsedMs": 1.0, "probability": 0.125}


LINE_ENDS = pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=repr)


@LINE_ENDS
def test_an_empty_body_takes_several_lines_with_the_documents_line_ends(shared, line_end):
    (item,) = ask(shared, f"def f():{line_end}    {line_end}", 1, 4)
    assert item["insertText"].endswith(f"|block|~>{line_end}more")


@LINE_ENDS
def test_the_rest_of_a_block_stays_when_its_first_line_is_taken(shared, line_end):
    (item,) = ask(shared, f"def g():{line_end}    {line_end}", 1, 4)
    first, more = item["insertText"].removesuffix("more"), "more"
    typed(shared, 2, 1, 4, first)
    (rest,) = shared.items(URI, 2, 0)
    assert (rest["insertText"], facts(rest)["id"]) == (more, facts(item)["id"])


def test_inside_a_word_there_is_silence(shared):
    assert ask(shared, "print(x)\n", 0, 3) == []


def facts(item):
    return item["command"]["arguments"][0]


def typed(client, version, line, character, text):
    client.change(URI, version, {"range": span(line, character, line, character), "text": text})


def test_typing_along_a_suggestion_shows_the_rest_without_the_model(shared):
    (item,) = ask(shared, "a = \n", 0, 4)
    typed(shared, 2, 0, 4, item["insertText"][:3])
    (rest,) = shared.items(URI, 0, 7)
    assert item["insertText"] == item["insertText"][:3] + rest["insertText"]
    assert "steps" not in facts(rest)
    assert facts(rest)["id"] == facts(item)["id"]
    # backspace, and it is back
    shared.change(URI, 3, {"range": span(0, 6, 0, 7), "text": ""})
    (more,) = shared.items(URI, 0, 6)
    assert more["insertText"] == item["insertText"][2:]


def test_typing_something_else_asks_the_model(shared):
    ask(shared, "b = \n", 0, 4)
    typed(shared, 2, 0, 4, "1")
    (item,) = shared.items(URI, 0, 5)
    assert item["insertText"].startswith("<b = 1|")
    assert "steps" in facts(item)


def test_a_request_by_hand_gets_three_distinct_answers(shared):
    items = ask(shared, "c = \n", 0, 4, trigger=1)
    assert len({item["insertText"] for item in items}) == 3
    assert len(ask(shared, "c = \n", 0, 4)) == 1


def test_what_the_model_doubts_is_shown_only_by_hand(shared):
    assert ask(shared, "unsure = \n", 0, 9) == []
    assert ask(shared, "unsure = \n", 0, 9, trigger=1)


def test_after_a_single_deletion_there_is_silence(shared):
    shared.open(URI, "valuee = \n")
    shared.change(URI, 2, {"range": span(0, 8, 0, 9), "text": ""})
    assert shared.items(URI, 0, 8) == []
    assert shared.items(URI, 0, 8, trigger=1)


@pytest.mark.parametrize(("line", "is_cut"), [("overdue = ", True), ("d = ", False)])
def test_after_acceptance_the_next_answer_is_looked_for_before_it_is_asked(tmp_path, line, is_cut):
    fills = tmp_path / "fills"
    client = LspClient(SERVER, environment={**os.environ, "UNMASK_TEST_FILLS": str(fills)})
    try:
        (item,) = ask(client, line + "\n", 0, len(line))
        end = len(line + item["insertText"])
        typed(client, 2, 0, len(line), item["insertText"])
        command = item["command"]
        client.request("workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]})
        assert wait_until(lambda: fills.read_text().count("\n") == 2)
        assert fills.read_text().splitlines()[1].startswith(f"True {line}<")
        # a line that nothing had cut has ended
        assert bool(client.items(URI, 0, end)) == is_cut
        assert fills.read_text().count("\n") == 2
    finally:
        client.close()


def test_what_became_of_suggestions_is_counted(tmp_path):
    client = LspClient(SERVER, environment={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    try:
        (item,) = ask(client, "e = \n", 0, 4)
        typed(client, 2, 0, 4, item["insertText"][:4])
        (rest,) = client.items(URI, 0, 8)
        typed(client, 3, 0, 8, rest["insertText"])
        command = item["command"]
        client.request("workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]})
        assert ask(client, "unsure = \n", 0, 9) == []
        client.request("shutdown", None)
        client.notify("exit", None)
        assert client.process.wait(timeout=30) == 0
    finally:
        client.close()
    record = total(read_records(tmp_path / "unmask" / "statistics"))
    expected = {
        "requests": 3,
        "fills": 3,
        "shown": 2,
        "remembered": 1,
        "partly_accepted": 1,
        "accepted": 1,
        "unlikely": 1,
    }
    assert {name: count for name, count in record.counts.items() if count} == expected
    assert sum(record.milliseconds.values()) == 3


@pytest.mark.parametrize("arguments", [[], [None], [{"id": "x"}], [{"id": 99999}], [3, 4]])
def test_an_acceptance_that_means_nothing_does_no_harm(shared, arguments):
    shared.request("workspace/executeCommand", {"command": "unmask.accepted", "arguments": arguments})
    assert ask(shared, "x = ", 0, 4)


def test_pieces_of_other_open_documents_are_shown_to_the_model(client):
    client.open("file:///work/b.py", "def total_price(orders):\n    return 1\n")
    client.open("file:///work/.env", "total_price = orders\n")
    (item,) = ask(client, "total_price(orders)\nsnippets = \n", 1, 11)
    assert item["insertText"] == "/work/b.py:'def total_pr'"


@pytest.mark.parametrize("uri", ["file:///work/.env", "file:///work/prod.pem", "untitled:.npmrc"])
def test_in_secret_files_there_is_silence(shared, uri):
    shared.open(uri, "x = ")
    assert shared.items(uri, 0, 4) == []
    assert shared.items(uri, 0, 4, trigger=1) == []


def test_blank_text_is_silence(shared):
    assert ask(shared, "silent = \n", 0, 9) == []


@pytest.mark.parametrize("kind", [0, 1, 2, 7, None])
def test_any_trigger_kind_is_understood(shared, kind):
    assert ask(shared, "x = \n", 0, 4, trigger=kind)


@pytest.mark.parametrize(
    ("encoding", "character"), [("utf-16", 9), ("utf-8", 12), ("utf-32", 8)], ids=["utf-16", "utf-8", "utf-32"]
)
def test_positions_follow_the_negotiated_encoding(encoding, character):
    client = LspClient(SERVER, encodings=[encoding])
    try:
        assert client.capabilities["positionEncoding"] == encoding
        (item,) = ask(client, "s = '😀é\nt", 0, 99)
        assert item["insertText"] == "<s = '😀é|line|~t>"
        client.change(URI, 2, {"range": span(0, character - 1, 0, character - 1), "text": "z"})
        (item,) = client.items(URI, 0, 99)
        assert item["insertText"].startswith("<s = '😀éz|")
        assert item["range"]["start"]["character"] == character
    finally:
        client.close()


def test_form_feeds_and_line_separators_do_not_end_lines(shared):
    text = "a\x0cb\nc\u2028d\x85\ne = \n"
    (item,) = ask(shared, text, 2, 4)
    assert item["insertText"].startswith("<e = |")
    shared.change(URI, 2, {"range": span(1, 1, 1, 2), "text": ""}, {"range": span(2, 0, 2, 1), "text": "zz"})
    (item,) = shared.items(URI, 2, 5)
    assert item["insertText"].startswith("<zz = |")


@pytest.mark.parametrize("at", [(0, 0), (0, 5), (7, 0), (99, 99)])
def test_an_empty_document_and_positions_outside_are_answered(shared, at):
    (item,) = ask(shared, "", *at)
    assert item["range"] == span(0, 0, 0, 0)


def test_lone_surrogates_are_answered_without_one(shared):
    (item,) = ask(shared, "x = '\ud83d", 0, 6)
    assert item["insertText"].startswith("<x = '\ufffd")


@pytest.mark.parametrize("uri", ["file:///work/a\ud800.py", "untitled:\udfff", "file:///work/%ED%A0%80.py"])
def test_a_lone_surrogate_in_a_name_is_no_error(uri):
    client = LspClient(SERVER)
    try:
        client.open(uri, "x = ")
        assert client.items(uri, 0, 4)
        watched = {"uri": uri, "version": 1, "position": [0, 4]}
        client.request("workspace/executeCommand", {"command": "unmask.watch", "arguments": [watched]})
        assert "in 2 passes" in client.told[-1]
        assert not any("ERROR" in line for line in client.log)
    finally:
        client.close()


def test_a_file_of_fifty_thousand_lines_and_a_line_of_a_megabyte_are_answered(shared):
    assert ask(shared, "x = 1\n" * 50_000, 40_000, 5)
    assert ask(shared, "x" * 1_000_000, 0, 1_000_000)


def test_a_document_that_is_not_open_is_silence(shared):
    assert shared.items("file:///etc/hostname", 0, 0) == []
    shared.open(URI, "x = ")
    shared.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert shared.items(URI, 0, 4) == []


def test_a_cancelled_request_is_answered_as_such(client):
    client.items(URI, 0, 0)
    client.open(URI, "slow")
    started = client.ask(URI, 0, 4)
    time.sleep(0.2)
    client.notify("$/cancelRequest", {"id": started[0]})
    with pytest.raises(RequestFailed) as failed:
        client.finish(started)
    assert failed.value.code == CANCELLED


def test_a_document_that_closes_frees_the_model(client):
    client.items(URI, 0, 0)
    client.open(URI, "slow")
    started = client.ask(URI, 0, 4)
    time.sleep(0.2)
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    with pytest.raises(RequestFailed) as failed:
        client.finish(started)
    assert failed.value.code == CANCELLED
    client.open("file:///work/b.py", "x = ")
    assert client.items("file:///work/b.py", 0, 4)


def test_typing_on_while_the_model_works_asks_it_once(tmp_path):
    fills = tmp_path / "fills"
    client = LspClient(SERVER, environment={**os.environ, "UNMASK_TEST_FILLS": str(fills)})
    try:
        client.items(URI, 0, 0)
        client.open(URI, "slow = \n")
        first = client.ask(URI, 0, 7)
        time.sleep(0.2)
        typed(client, 2, 0, 7, "<s")
        (item,) = client.finish(client.ask(URI, 0, 9))["items"]
        assert item["insertText"].startswith("low = |")
        with pytest.raises(RequestFailed) as failed:
            client.finish(first)
        assert failed.value.code == CANCELLED
        assert fills.read_text() == "False slow = \n"
    finally:
        client.close()


def test_the_newest_request_of_a_document_wins(client):
    client.open(URI, "slow\nx = ")
    older = [client.ask(URI, 0, 4) for _ in range(3)]
    newest = client.ask(URI, 1, 4)
    assert client.finish(newest, timeout=10)["items"]
    for started in older:
        with pytest.raises(RequestFailed) as failed:
            client.finish(started)
        assert failed.value.code == CANCELLED


def test_an_answer_for_an_older_text_is_not_given(client):
    client.open(URI, "x = \nslow")
    client.items(URI, 0, 4)
    started = client.ask(URI, 1, 4)
    time.sleep(0.1)
    client.change(URI, 2, {"range": span(0, 0, 0, 0), "text": "y"})
    with pytest.raises(RequestFailed) as failed:
        client.finish(started, timeout=10)
    assert failed.value.code == MODIFIED
