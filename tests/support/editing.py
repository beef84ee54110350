"""Plays a case of `tests/lsp_server/editing`: what a user of another tool reported, as an editor would send it."""

import re
import sys
import tempfile
import time
from pathlib import Path

from lsp_client import LspClient, RequestFailed

from lsp_server.documents import Document, Position

UNMASK = [sys.executable, "-P", "-c", "from unmask_cli.cli import main; main()", "lsp"]
ROOT = "file:///srv/code"
SETTINGS = {"deadlineMs": 20_000, "deadlineInvokedMs": 20_000, "leastRight": 0}


class Played:
    """What came of a case."""

    def __init__(self):
        self.shown = []
        """The texts of each request, in order."""
        self.items = []
        self.documents = []
        """The text before each request, and the offset of the cursor in it."""
        self.error = None
        self.log = ""
        self.exit_code = None


class Editor:
    """An editor that has one document open, and keeps its own copy of it."""

    def __init__(self, case, folder, runtime):
        self.case, self.played = case, Played()
        self.folder = folder
        for name, text in (case.get("files") or {}).items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        options = {**SETTINGS, **self.moved(case["settings"])}
        folders = [f"file://{folder}/one"] if case.get("files") else None
        self.client = LspClient(UNMASK, options=options, runtime=runtime, folders=folders)
        self.uri = self.moved(case["uri"])
        self.document = None
        self.position = case["position"]
        self.version = 1

    def moved(self, value):
        """The case with its files where they are written here."""
        if isinstance(value, str):
            return value.replace("/srv/code", self.folder) if self.case.get("files") else value
        if isinstance(value, dict):
            return {key: self.moved(one) for key, one in value.items()}
        return [self.moved(one) for one in value] if isinstance(value, list) else value

    def open(self):
        case = self.case
        self.document = Document(self.uri, case["language"], 1, "utf-16")
        self.document.replace_all(case["text"])
        self.client.open(self.uri, case["text"], case["language"])

    def notify(self, method, parameters):
        parameters = self.moved(parameters)
        if method == "textDocument/didChange" and parameters["textDocument"]["uri"] == self.uri:
            for change in parameters["contentChanges"]:
                self.take(change)
        self.client.notify(method, parameters)

    def take(self, change):
        at = change.get("range")
        if not at:
            self.document.replace_all(change["text"])
        else:
            self.document.replace(Position(**at["start"]), Position(**at["end"]), change["text"])

    def change(self, start, end, text):
        self.version += 1
        change = {"range": {"start": start, "end": end}, "text": text}
        self.take(change)
        self.client.change(self.uri, self.version, change)

    def start(self):
        row, column = self.document.place(Position(**self.position))
        before = "".join(self.document.lines[:row]) + self.document.lines[row][:column]
        self.played.documents.append((self.document.text, len(before)))
        context = {"triggerKind": 1 if self.case.get("trigger") == "invoked" else 2, **self.case.get("context", {})}
        parameters = {"textDocument": {"uri": self.uri}, "position": self.position, "context": context}
        return self.client.start("textDocument/inlineCompletion", parameters)

    def finish(self, started):
        try:
            items = self.client.finish(started, timeout=60)["items"]
            self.played.items.append(items)
            self.played.shown.append([item["insertText"] for item in items])
        except RequestFailed as error:
            self.played.error = error

    def ask(self):
        self.finish(self.start())

    def insert(self, text):
        """Types or accepts a text; returns what the change was."""
        at = dict(self.position)
        self.change(at, at, text)
        rows = text.split("\n")
        self.position = (
            {"line": at["line"] + len(rows) - 1, "character": len(rows[-1])}
            if len(rows) > 1
            else {"line": at["line"], "character": at["character"] + len(text)}
        )
        return at, dict(self.position)


def play(case, runtime=None):
    """Returns what a server of its own says to a case; servers of one `runtime` folder share a model."""
    with tempfile.TemporaryDirectory(prefix="unmask-case-") as folder:
        editor = Editor(case, folder, runtime)
        try:
            _wait_for_model(editor)
            _play(case, editor)
            editor.played.log = "".join(editor.client.log)
        finally:
            editor.client.close()
        return editor.played


def _wait_for_model(editor):
    editor.client.open("file:///warm/up.py", "def f(a, b):\n    z = ")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if editor.client.items("file:///warm/up.py", 1, 8, 1):
            break
        time.sleep(0.2)
    editor.client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///warm/up.py"}})


def _play(case, editor):
    messages = case["messages"]
    if messages and isinstance(messages[0], list) and messages[0][0] == "exit":
        editor.client.notify("exit", None)
        editor.played.exit_code = editor.client.process.wait(30)
        return
    if messages and isinstance(messages[0], str) and "twelve times" in messages[0]:
        editor.open()
        for _ in range(12):
            editor.ask()
            if not editor.played.shown or not editor.played.shown[-1]:
                break
            editor.insert(editor.played.shown[-1][0])
            editor.insert("\n")
        return
    if messages and isinstance(messages[0], str) and messages[0].startswith("type the suggestion"):
        editor.open()
        editor.ask()
        if editor.played.shown[-1]:
            editor.insert(editor.played.shown[-1][0].rstrip("\n"))
            editor.ask()
        return
    if "messages first" in case.get("order", ""):
        for method, parameters in messages:
            editor.notify(method, parameters)
        editor.open()
        editor.ask()
        return
    editor.open()
    _in_order(case, editor, messages)


def _in_order(case, editor, messages):
    asked, running, last = False, None, None
    for message in messages:
        if isinstance(message, list):
            editor.notify(*message)
        elif message == "request" and messages.index(message) == 0 and isinstance(messages[1], list):
            running, asked = editor.start(), True
        elif message == "request":
            editor.ask()
            asked = True
        elif message == "accept" and editor.played.shown[-1]:
            last = editor.insert(editor.played.shown[-1][0])
        elif message.startswith("undo") and last:
            editor.change(last[0], last[1], "")
            editor.position = last[0]
    if running:
        editor.finish(running)
    if not asked or not messages or (isinstance(messages[-1], list) and not running):
        editor.position = case.get("request_position", editor.position)
        editor.ask()


def accepted(played, index=-1, item=0):
    """The text once an item of a request is accepted."""
    text, at = played.documents[index]
    said = played.shown[index][item]
    return text[:at] + said + text[at:]


def unbalanced(text, opening, closing):
    """True when a text closes what it has not opened, outside of quotes."""
    text = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'", "", text)
    depth = 0
    for character in text:
        depth += (character == opening) - (character == closing)
        if depth < 0:
            return True
    return False
