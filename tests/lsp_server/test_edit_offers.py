import os
import time

import pytest
from edited import as_edited
from fakes import CANCELLED, SERVER, URI, span
from hypothesis import given
from hypothesis import strategies as st
from lsp_client import LspClient, RequestFailed
from next_edits import edited, next_edits, start_asking
from processes import wait_until

from coder_model.text.token_edits import changed
from lsp_server.backends.remote_apis import LINES_TO_EDIT
from lsp_server.edit_offers import MOST_OFFERS, change_of_lines, is_written

TEXT = "def f(bad):\n    x = 1\n    return bad\n"
RENAMED = (TEXT, 0, 6, 9, "good")


@pytest.fixture(scope="module")
def ready():
    made = LspClient(SERVER)
    assert wait_until(lambda: any(told.startswith("on") for told in made.told))
    yield made
    made.close()


def offered(client, *edit, **more):
    edited(client, *edit)
    return next_edits(client, **more)


def test_a_use_left_behind_is_one_edit_of_one_version(ready):
    (edit,) = offered(ready, *RENAMED)
    command = edit.pop("command")
    assert edit == {"text": "good", "textDocument": {"uri": URI, "version": 2}, "range": span(2, 11, 2, 14)}
    assert command["command"] in ready.capabilities["executeCommandProvider"]["commands"]
    assert ready.request("workspace/executeCommand", command) is None


def test_once_it_is_taken_the_next_one_is_offered(ready):
    text = "def f(bad):\n    a = bad\n    return bad\n"
    (first,) = offered(ready, text, 0, 6, 9, "good")
    assert first["range"] == span(1, 8, 1, 11)
    ready.change(URI, 3, {"range": first["range"], "text": first["text"]})
    (second,) = next_edits(ready, 1, version=3)
    assert second["range"] == span(2, 11, 2, 14)
    ready.change(URI, 4, {"range": second["range"], "text": second["text"]})
    assert next_edits(ready, 2, version=4) == []


def test_positions_are_in_the_units_of_the_client(ready):
    (edit,) = offered(ready, "def f(bad):\r\n    return '😀' + bad\r\n", 0, 6, 9, "good")
    assert edit["range"] == span(1, 18, 1, 21)


def test_what_the_model_does_not_bear_out_is_not_offered(ready):
    assert offered(ready, TEXT, 0, 6, 9, "bad2") != []
    assert offered(ready, TEXT.replace("bad", "fine"), 0, 6, 10, "good") == []


@pytest.mark.parametrize("uri", ["file:///work/.env", "git:/work/a.py?ref", "output:log", "vscode-scm:git/a.py"])
def test_nothing_is_offered_where_nobody_writes_or_the_model_may_not_look(ready, uri):
    edited(ready, *RENAMED, uri=uri)
    assert next_edits(ready, uri=uri) == []


def test_nobody_writes_in_a_file_whose_name_no_file_can_have():
    assert not is_written(f"file:///work/{'a' * 5_000}.py")


def test_nothing_is_offered_for_another_version_or_an_unknown_document(ready):
    assert offered(ready, *RENAMED, version=1) == []
    assert next_edits(ready, uri="file:///work/other.py") == []
    assert len(next_edits(ready, version=None)) == 1


def test_what_is_passed_over_several_times_is_not_offered_any_more(ready):
    uri, seen = "file:///work/passed.py", []
    edited(ready, "def f(a, b):\n    x = 0\n    return a\n\n\nf(1, 2)\n", 0, 7, 10, "", uri=uri)
    for version in range(2, 4 + MOST_OFFERS):
        seen.append([edit["range"] for edit in next_edits(ready, uri=uri, version=version)])
        ready.change(uri, version + 1, {"range": span(1, 8, 1, 9), "text": str(version)})
    assert seen == [[span(5, 3, 5, 6)]] * MOST_OFFERS + [[], []]


def test_a_newer_request_ends_the_older_one(ready):
    edited(ready, TEXT.replace("return bad", "return bad + slow"), 0, 6, 9, "good")
    older = start_asking(ready)
    newer = start_asking(ready)
    with pytest.raises(RequestFailed) as failed:
        ready.finish(older)
    assert failed.value.code == CANCELLED
    ready.notify("$/cancelRequest", {"id": newer[0]})
    with pytest.raises(RequestFailed):
        ready.finish(newer)


def test_an_answer_for_a_text_that_has_changed_is_none(ready):
    edited(ready, TEXT.replace("return bad", "return bad + slow"), 0, 6, 9, "good")
    asked = start_asking(ready)
    time.sleep(0.3)
    ready.change(URI, 3, {"range": span(1, 8, 1, 9), "text": "2"})
    assert ready.finish(asked) == {"edits": []}


def test_a_completion_goes_first(ready):
    edited(ready, TEXT.replace("return bad", "return bad + slow"), 0, 6, 9, "good")
    asked = start_asking(ready)
    time.sleep(0.3)
    assert ready.items(URI, 1, 9)
    assert ready.finish(asked) == {"edits": []}


@pytest.mark.parametrize("options", [{"preset": "manual"}, {"languages": {"python": False}}])
def test_who_wants_nothing_unasked_gets_none(options):
    client = LspClient(SERVER, options=options)
    assert offered(client, *RENAMED) == []
    client.close()


def test_a_model_that_takes_too_long_is_silence():
    client = LspClient(SERVER, options={"deadlineMs": 500})
    assert wait_until(lambda: any(told.startswith("on") for told in client.told))
    assert offered(client, TEXT.replace("return bad", "return bad + slow"), 0, 6, 9, "good") == []
    client.close()


def test_without_a_model_that_judges_rules_alone_are_offered():
    client = LspClient([*SERVER, "--small"])
    assert wait_until(lambda: any(told.startswith("on") for told in client.told))
    assert len(offered(client, TEXT.replace("bad", "fine"), 0, 6, 10, "good")) == 1
    client.close()


@pytest.mark.parametrize("parameters", [{}, None, {"textDocument": 3}, {"textDocument": {"uri": URI}}, []])
def test_a_request_that_cannot_be_read_gets_no_edits(ready, parameters):
    assert ready.request("textDocument/copilotInlineEdit", parameters) == {"edits": []}


def test_where_people_write_is_known_by_name_and_by_the_disk(tmp_path, monkeypatch):
    file = tmp_path / "a.py"
    file.write_text("x")
    assert is_written(file.as_uri())
    assert is_written((tmp_path / "new.py").as_uri())
    assert is_written("untitled:Untitled-1")
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (file, os.W_OK))
    assert not is_written(file.as_uri())


@given(
    above=st.integers(0, 7), below=st.integers(0, 7), column=st.integers(0, 3), new=st.text("abc\né😀", max_size=20),
    ends=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_what_a_service_makes_of_lines_changes_nothing_else(above, below, column, new, ends):
    lines = [f"up{n}" for n in range(above)] + ["here"] + [f"down{n}" for n in range(below)]
    text = ends.join(lines)
    document = as_edited(text, cursor_row=above)
    prefix = "\n".join([*lines[:above], "here"[:column]])
    first, behind = max(0, above - LINES_TO_EDIT), above + LINES_TO_EDIT + 1
    old = "\n".join(lines[first:behind])
    change = change_of_lines(document, prefix, old, new)
    expected = ends.join([*lines[:first], *new.split("\n"), *lines[behind:]])
    if len(lines) == 1:
        # a document of one line shows no line end
        expected = new
    assert (text if change is None else changed(text, [change])) == expected
    assert change_of_lines(document, prefix, old + "x", new) is None
