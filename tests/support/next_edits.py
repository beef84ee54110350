"""Edits in a document, and the next one asked for, as a client does both."""

from fakes import URI, span

NOTHING = {"edits": []}


def edited(client, text, line, start, end, new, uri=URI, language="python", version=2):
    """Opens a document and changes a part of a line."""
    client.open(uri, text, language)
    client.change(uri, version, {"range": span(line, start, line, end), "text": new})


def start_asking(client, line=0, character=0, uri=URI, version=2):
    parameters = {"textDocument": {"uri": uri, "version": version}, "position": {"line": line, "character": character}}
    return client.start("textDocument/copilotInlineEdit", parameters)


def next_edits(client, line=0, character=0, uri=URI, version=2):
    return client.finish(start_asking(client, line, character, uri, version))["edits"]
