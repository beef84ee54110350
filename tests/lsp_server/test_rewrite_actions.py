import time

import pytest
from code_actions import ANNOTATED, begun, code_actions, said, start
from fakes import CANCELLED, SERVER, URI, span
from lsp_client import LspClient, RequestFailed
from processes import wait_until

TEXT = "def f(a):\n    x = bad\n    return x\n"
ALL = (0, 0, 3, 0)
TITLES = ["Rewrite selection: light fix", "Rewrite selection: refresh", "Rewrite selection: all of it"]


def actions(client, text=TEXT, place=ALL, **more):
    return code_actions(client, "Rewrite", text, place, **more)


def light(client, text=TEXT, place=ALL, **more):
    return actions(client, text, place, **more)[0]


@pytest.fixture
def annotating():
    made = LspClient(SERVER, workspace_edit=ANNOTATED)
    yield made
    made.close()


def test_each_strength_is_an_action_where_something_is_selected(shared):
    found = actions(shared)
    assert [action["title"] for action in found] == TITLES
    assert {action["kind"] for action in found} == {"refactor.rewrite"}
    assert "unmask.rewriteSelection" in shared.capabilities["executeCommandProvider"]["commands"]
    assert actions(shared, only=["quickfix"]) == []
    assert len(actions(shared, only=["refactor"])) == 3


@pytest.mark.parametrize(
    ("text", "place", "more"),
    [
        (TEXT, (1, 2, 1, 2), {}),
        ("", (0, 0, 0, 0), {}),
        ("\n\n \n", (0, 0, 3, 0), {}),
        ("x = bad\n" * 2000, (0, 0, 2000, 0), {}),
        (TEXT, ALL, {"uri": "file:///work/.env"}),
    ],
)
def test_where_nothing_can_be_rewritten_no_action_is_offered(shared, text, place, more):
    assert actions(shared, text, place, **more) == []


def test_what_is_mended_is_one_edit_to_be_confirmed(annotating):
    assert annotating.finish(start(annotating, light(annotating))) is None
    (answer,) = annotating.edits
    (change,) = answer["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 1}
    (edit,) = change["edits"]
    assert (edit["range"], edit["newText"]) == (span(1, 0, 2, 0), "    x = good\n")
    note = answer["edit"]["changeAnnotations"][edit["annotationId"]]
    assert note["needsConfirmation"]
    assert note["label"] == "Rewritten from line 2 on"
    assert said(annotating)[-1] == note["description"] == "the model finds the selection 9,000 times likelier now"


def test_lines_outside_of_the_selection_are_in_no_edit(shared):
    text = "a = bad\r\nb = '😀'; c = bad\r\nd = bad\r\n"
    shared.finish(start(shared, light(shared, text, (1, 14, 1, 3))))
    (edit,) = shared.edits[-1]["edit"]["changes"][URI]
    assert edit == {"range": span(1, 0, 2, 0), "newText": "b = '😀'; c = good\r\n"}


def test_the_last_line_may_lack_its_end(shared):
    shared.finish(start(shared, light(shared, "a = 1\nb = bad", (1, 0, 1, 3))))
    (edit,) = shared.edits[-1]["edit"]["changes"][URI]
    assert edit == {"range": span(1, 0, 1, 7), "newText": "b = good"}


def test_a_text_that_the_model_finds_likely_stays(client):
    client.finish(start(client, light(client, "a = 1\n", (0, 0, 1, 0))))
    assert client.edits == []
    assert said(client)[-1] == "nothing is rewritten: the model finds nothing that is clearly likelier"


def test_an_instruction_is_not_written(shared):
    shared.finish(start(shared, light(shared), instruction="say good\nplease"))
    (edit,) = shared.edits[-1]["edit"]["changes"][URI]
    assert edit["newText"] == "    x = good\n"


@pytest.mark.parametrize("text", ["def f(a:\n    x = bad\n", "x = bad\n", "é = bad  # 漢\n"])
def test_a_text_that_does_not_parse_or_has_no_grammar_is_rewritten_all_the_same(shared, text):
    language = "python" if "def" in text else "kotlin"
    shared.finish(start(shared, light(shared, text, (0, 0, 2, 0), language=language)))
    assert "good" in shared.edits[-1]["edit"]["changes"][URI][0]["newText"]


def test_a_document_that_was_edited_meanwhile_stays_as_it_is(client):
    action = light(client, TEXT.replace("x", "slow"))
    started = start(client, action)
    begun(client)
    client.change(URI, 2, {"range": span(0, 0, 0, 0), "text": "# a\n"})
    client.finish(started)
    assert client.edits == []
    assert said(client)[-1] == "nothing is rewritten: the document was edited"
    client.finish(start(client, action))
    assert client.edits == []


def test_a_document_that_was_closed_meanwhile_is_left_alone(client):
    started = start(client, light(client, TEXT.replace("x", "slow")))
    begun(client)
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    client.finish(started)
    assert client.edits == []


def test_a_cancelled_request_applies_nothing(client):
    started = start(client, light(client, TEXT.replace("x", "slow")))
    begun(client)
    client.notify("$/cancelRequest", {"id": started[0]})
    with pytest.raises(RequestFailed) as failed:
        client.finish(started)
    assert failed.value.code == CANCELLED
    assert wait_until(lambda: "nothing is rewritten: stopped" in said(client)), said(client)
    assert client.edits == []


def test_a_worker_that_dies_of_the_selection_leaves_it_as_it_is(client):
    client.finish(start(client, light(client, TEXT.replace("x", "crash"))), timeout=60)
    assert client.edits == []
    assert said(client)[-1] == "nothing is rewritten: the model could not read the selection"


def test_an_edit_that_the_client_refuses_is_told(client):
    client.refuses = "the buffer is newer"
    client.finish(start(client, light(client)))
    assert said(client)[-1] == "nothing is rewritten: the editor refused: the buffer is newer"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [None],
        [{"uri": URI, "version": 1, "range": [[0, 0], [9, 9]]}],
        [{"uri": URI, "version": 1, "range": [[0, 0], [9, 9]], "strength": "hard"}],
        [{"uri": URI, "version": 1, "range": [0, 9], "strength": "light"}],
        [{"uri": "file:///gone.py", "version": 1, "range": [[0, 0], [9, 9]], "strength": "light"}],
    ],
)
def test_a_command_that_means_nothing_does_no_harm(shared, arguments):
    shared.open(URI, TEXT)
    before = len(shared.edits)
    shared.request("workspace/executeCommand", {"command": "unmask.rewriteSelection", "arguments": arguments})
    assert len(shared.edits) == before


def test_a_selection_that_is_too_long_is_refused_with_its_size(client):
    client.open(URI, "x = bad\n" * 2000)
    arguments = {"uri": URI, "version": 1, "range": [[0, 0], [2000, 0]], "strength": "light"}
    client.request("workspace/executeCommand", {"command": "unmask.rewriteSelection", "arguments": [arguments]})
    assert "nothing is rewritten: at most 120 lines" in said(client)[-1]
    assert "got 2,000 lines" in said(client)[-1]


@pytest.mark.parametrize("shows", [True, False])
def test_a_model_that_cannot_judge_refuses_and_names_one_that_can(shows):
    client = LspClient([*SERVER, "--small"], code_action={"disabledSupport": True} if shows else None)
    try:
        taken = light(client)
        client.finish(start(client, taken))
        assert client.edits == []
        assert "cannot judge code; `unmask models pull" in said(client)[-1]
        # by now it is known before somebody asks
        found = actions(client)
        assert [action["title"] for action in found] == ["Rewrite selection"] * shows
        assert all("unmask models pull" in action["disabled"]["reason"] for action in found)
    finally:
        client.close()


def test_completion_goes_on_while_a_selection_is_rewritten(client):
    started = start(client, light(client, TEXT.replace("x", "slow") + "y = \n"))
    begun(client)
    time.sleep(0.1)
    assert client.items(URI, 3, 4)
    client.finish(started, timeout=60)


@pytest.mark.parametrize(
    ("command", "nothing"), [("rewriteSelection", "nothing is rewritten"), ("fillHoles", "no hole is filled")]
)
def test_a_command_on_a_file_that_no_model_may_see_says_so(client, command, nothing):
    secret = "file:///work/.env"
    client.open(secret, TEXT, "python")
    argument = {"uri": secret, "version": 1, "range": [[0, 0], [3, 0]], "strength": "light"}
    client.request("workspace/executeCommand", {"command": f"unmask.{command}", "arguments": [argument]})
    assert said(client)[-1] == f"{nothing}: there is no model, or none is asked about this file"
    assert client.edits == []
