import os
import signal
import time

import pytest
from code_actions import ANNOTATED, begun, code_actions, progress, said, start
from fakes import CANCELLED, SERVER, URI, span
from lsp_client import LspClient, RequestFailed
from processes import wait_until, worker_of

TWO = "def one():\n    pass\n\n\ndef two():\n    raise NotImplementedError\n"


def actions(client, *arguments, **more):
    return code_actions(client, "Fill", *arguments, **more)


@pytest.fixture
def annotating():
    made = LspClient(SERVER, workspace_edit=ANNOTATED)
    yield made
    made.close()


def test_the_action_is_announced_and_offered_where_something_is_to_fill(shared):
    assert shared.capabilities["codeActionProvider"] == {"codeActionKinds": ["refactor.rewrite"]}
    assert "unmask.fillHoles" in shared.capabilities["executeCommandProvider"]["commands"]
    (action,) = actions(shared, TWO)
    assert (action["title"], action["kind"]) == ("Fill all holes (2)", "refactor.rewrite")
    assert "edit" not in action


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("x = 1\n", "python"),
        ("", "python"),
        ('x = """\n<|hole|>\n    # TODO\n"""\n', "python"),
        ("---\na: 1\n...\n", "yaml"),
    ],
)
def test_without_holes_no_action_is_offered(shared, text, language):
    assert actions(shared, text, language=language) == []


@pytest.mark.parametrize("uri", ["file:///work/.env", "file:///work/secrets.py.pem"])
def test_in_secret_files_no_action_is_offered(shared, uri):
    assert actions(shared, TWO, uri=uri) == []


def test_in_a_language_that_is_off_no_action_is_offered():
    client = LspClient(SERVER, options={"languages": {"python": False}})
    try:
        assert actions(client, TWO) == []
    finally:
        client.close()


def test_only_what_the_client_asks_for_is_offered(shared):
    assert actions(shared, TWO, only=["quickfix"]) == []
    assert len(actions(shared, TWO, only=["refactor"])) == 1
    assert len(actions(shared, TWO, only=["refactor.rewrite"])) == 1


def test_a_selection_counts_the_holes_that_it_touches(shared):
    assert actions(shared, TWO, (4, 0, 5, 6))[0]["title"] == "Fill all holes (1)"
    assert actions(shared, TWO, (5, 6, 4, 0))[0]["title"] == "Fill all holes (1)"
    assert actions(shared, TWO, (4, 0, 5, 2)) == []


def test_of_a_thousand_holes_the_nearest_are_filled(shared):
    text = "".join(f"def f{i}():\n    pass\n" for i in range(1000))
    (action,) = actions(shared, text, (1000, 0, 1000, 0))
    assert action["title"] == "Fill all holes (the nearest 32 of 1000)"


def test_offering_never_asks_the_model(tmp_path):
    fills = tmp_path / "fills"
    client = LspClient(SERVER, environment={**os.environ, "UNMASK_TEST_FILLS": str(fills)})
    try:
        (action,) = actions(client, TWO)
        client.finish(start(client, action))
        # two first drafts, one of the second hole when the first is filled, and then one of the first again
        assert fills.read_text().count("\n") == 4
    finally:
        client.close()


def test_all_holes_are_one_edit_with_an_annotation_for_each(annotating):
    (action,) = actions(annotating, TWO)
    assert annotating.finish(start(annotating, action)) is None
    (answer,) = annotating.edits
    (change,) = answer["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 1}
    assert [edit["newText"] for edit in change["edits"]] == ["return one, 1", "return two, 1"]
    assert [edit["range"] for edit in change["edits"]] == [span(1, 4, 1, 8), span(5, 4, 5, 29)]
    notes = answer["edit"]["changeAnnotations"]
    assert [notes[edit["annotationId"]]["needsConfirmation"] for edit in change["edits"]] == [True, True]
    assert notes["change-1"]["label"] == "Hole in line 2"
    assert said(annotating)[-1] == "2 of 2 holes filled"


def test_a_client_without_annotations_gets_plain_edits(shared):
    (action,) = actions(shared, TWO.replace("\n", "\r\n"))
    shared.finish(start(shared, action))
    edit = shared.edits[-1]["edit"]
    assert [one["newText"] for one in edit["changes"][URI]] == ["return one, 1", "return two, 1"]
    assert "documentChanges" not in edit


def test_ranges_are_in_the_units_of_the_protocol(shared):
    (action,) = actions(shared, 'def one():\n    x = "😀"; <|hole|>\n')
    shared.finish(start(shared, action))
    (edit,) = shared.edits[-1]["edit"]["changes"][URI]
    assert edit["range"] == span(1, 14, 1, 22)


def test_what_the_model_doubts_stays(shared):
    (action,) = actions(shared, TWO.replace("two", "unsure"))
    shared.finish(start(shared, action))
    (edit,) = shared.edits[-1]["edit"]["changes"][URI]
    assert edit["newText"] == "return one, 0"
    assert said(shared)[-1] == "1 of 2 holes filled, 1 stay as they are"


def test_where_the_model_doubts_everything_nothing_is_applied(client):
    (action,) = actions(client, "def unsure():\n    pass\n")
    client.finish(start(client, action))
    assert client.edits == []
    assert said(client)[-1] == "no hole is filled: the model is not sure of any"


def test_a_document_that_was_edited_meanwhile_stays_as_it_is(client):
    (action,) = actions(client, TWO.replace("one", "slow"))
    started = start(client, action)
    begun(client)
    client.change(URI, 2, {"range": span(0, 0, 0, 0), "text": "# a\n"})
    client.finish(started)
    assert client.edits == []
    assert said(client)[-1] == "no hole is filled: the document was edited"
    # the action speaks of the old text
    client.finish(start(client, action))
    assert client.edits == []


def test_a_document_that_was_closed_meanwhile_is_left_alone(client):
    (action,) = actions(client, TWO.replace("one", "slow"))
    started = start(client, action)
    begun(client)
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    client.finish(started)
    assert client.edits == []


def test_a_cancelled_request_applies_nothing(client):
    (action,) = actions(client, TWO.replace("one", "slow"))
    started = start(client, action)
    begun(client)
    client.notify("$/cancelRequest", {"id": started[0]})
    with pytest.raises(RequestFailed) as failed:
        client.finish(started)
    assert failed.value.code == CANCELLED
    assert wait_until(lambda: "no hole is filled: stopped" in said(client)), said(client)
    assert client.edits == []


def test_the_button_of_the_progress_stops_the_work_and_answers_the_request(client):
    (action,) = actions(client, TWO.replace("one", "slow"))
    started = start(client, action)
    client.notify("window/workDoneProgress/cancel", {"token": begun(client)})
    assert client.finish(started) is None
    assert client.edits == []
    assert progress(client)[-1]["value"] == {"kind": "end", "message": "no hole is filled: stopped"}


def test_a_worker_that_dies_costs_the_holes_that_it_dies_of(client):
    (action,) = actions(client, TWO.replace("two", "crash"))
    client.finish(start(client, action), timeout=60)
    (edit,) = client.edits[-1]["edit"]["changes"][URI]
    assert edit["newText"] == "return one, 0"


def test_a_worker_that_is_killed_meanwhile_does_not_end_the_work(client):
    (action,) = actions(client, TWO.replace("one", "slow"))
    started = start(client, action)
    begun(client)
    time.sleep(0.3)
    os.kill(worker_of(client), signal.SIGKILL)
    client.finish(started, timeout=60)
    assert client.edits


def test_an_edit_that_the_client_refuses_is_told(client):
    client.refuses = "the buffer is newer"
    (action,) = actions(client, TWO)
    client.finish(start(client, action))
    assert said(client)[-1] == "no hole is filled: the editor refused: the buffer is newer"


@pytest.mark.parametrize(
    "arguments", [[], [None], [{"uri": 3}], [{"uri": "file:///gone.py", "version": 1, "range": [[0, 0], [9, 9]]}]]
)
def test_a_command_that_means_nothing_does_no_harm(shared, arguments):
    before = len(shared.edits)
    shared.request("workspace/executeCommand", {"command": "unmask.fillHoles", "arguments": arguments})
    assert len(shared.edits) == before


def test_completion_goes_on_while_holes_are_filled(client):
    (action,) = actions(client, TWO.replace("one", "slow") + "x = \n")
    started = start(client, action)
    begun(client)
    assert client.items(URI, 6, 4)
    client.finish(started, timeout=60)
    assert client.edits
