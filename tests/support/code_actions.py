"""Code actions as a client asks for them, takes them, and is told of their work."""

from fakes import URI, span
from processes import wait_until

ANNOTATED = {"documentChanges": True, "changeAnnotationSupport": {}}


def code_actions(client, title, text, place=(0, 0, 0, 0), uri=URI, language="python", **context):
    """The actions that begin with a title, in a document that is opened."""
    client.open(uri, text, language)
    parameters = {"textDocument": {"uri": uri}, "range": span(*place), "context": {"diagnostics": [], **context}}
    found = client.request("textDocument/codeAction", parameters)
    return [action for action in found if action["title"].startswith(title)]


def start(client, action, **more):
    command = action["command"]
    arguments = [{**command["arguments"][0], **more}]
    return client.start("workspace/executeCommand", {"command": command["command"], "arguments": arguments})


def said(client):
    return [n["params"]["message"] for n in client.notifications if n["method"] == "didChangeStatus"]


def progress(client):
    return [n["params"] for n in client.notifications if n["method"] == "$/progress"]


def begun(client):
    """The token of the progress of some work, once the client has been told."""
    assert wait_until(lambda: [note for note in progress(client) if note["value"].get("cancellable")])
    return next(note["token"] for note in progress(client) if note["value"].get("cancellable"))
