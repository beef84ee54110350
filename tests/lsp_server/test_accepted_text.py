"""What is accepted is what was shown, between what stood before and after the cursor: in clients that do what the real
ones do, for any text, any edits, any place and every encoding of positions."""

import itertools

import plain_text
import pytest
from fakes import SERVER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsp_client import LspClient
from results import record
from scale import SCALE

ALPHABET = [
    *"ab (){}:=\t",
    "\n",
    "\r\n",
    "\r",
    "é",
    "漢",
    "😀",
    "\ud83d",
    "\udc4d",
    "\u2028",
    "\x0c",
    "\x85",
    "\0",
    "\ufeff",
]
TEXT = st.lists(st.sampled_from(ALPHABET), max_size=30).map("".join)
EDITS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), TEXT), max_size=4)
numbers = itertools.count()


class Editor:
    """A buffer that is changed, and completed, as an editor does it."""

    def __init__(self, client, encoding, text):
        self.client, self.encoding = client, encoding
        self.uri, self.version = f"untitled:{next(numbers)}.py", 1
        self.text = plain_text.joined(text)
        client.open(self.uri, text)

    def place(self, offset):
        """The protocol's position of a code point."""
        bounds = plain_text.line_bounds(self.text)
        row = max(i for i, (start, _) in enumerate(bounds) if start <= offset)
        start, end = bounds[row]
        width = sum(plain_text.width(char, self.encoding) for char in self.text[start : min(offset, end)])
        return {"line": row, "character": width}

    def edit(self, start, end, text):
        """Replaces code points."""
        self.version += 1
        change = {"range": {"start": self.place(start), "end": self.place(end)}, "text": text}
        self.client.change(self.uri, self.version, change)
        # what the range says is what happens: an offset inside a line end counts as before it
        ends = [(change["range"][name]["line"], change["range"][name]["character"]) for name in ("start", "end")]
        self.text = plain_text.replaced(self.text, *ends, text, self.encoding)

    def ask(self, offset, trigger):
        at = self.place(offset)
        return self.client.items(self.uri, at["line"], at["character"], trigger)

    def accept(self, item):
        """Both put `insertText` in the place of the range: `nvim_buf_set_text`, and an edit in VS Code."""
        start, end = (
            plain_text.offset(self.text, item["range"][name]["line"], item["range"][name]["character"], self.encoding)
            for name in ("start", "end")
        )
        self.edit(start, end, item["insertText"])

    def save(self):
        self.client.notify("textDocument/didSave", {"textDocument": {"uri": self.uri}, "text": self.text})


def shown(editor, item, cursor):
    """The ghost text, or None when the client would show none.

    VS Code wants the text that the range covers to be a prefix of `insertText`, and the range to hold the cursor in one
    line; Neovim draws what differs from the line left of the cursor. With an empty range at the cursor both show all.
    """
    at = editor.place(cursor)
    assert item["range"] == {"start": at, "end": at}
    return item["insertText"]


@pytest.fixture(scope="module", params=["utf-16", "utf-8", "utf-32"])
def client(request):
    made = LspClient(SERVER, encodings=[request.param], options={"preset": "eager"})
    made.encoding = request.param
    first = next(numbers)
    yield made
    made.close()
    record(
        f"accepted text is prefix, shown, suffix, in {request.param}", documents=next(numbers) - first - 1, different=0
    )


@settings(max_examples=int(150 * SCALE), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT, edits=EDITS, cursor=st.integers(0, 60), trigger=st.sampled_from([0, 1, 2]), typed=st.integers(0, 9))
def test_accepted_text_is_prefix_shown_suffix(client, text, edits, cursor, trigger, typed):
    editor = Editor(client, client.encoding, text)
    for at, length, new in edits:
        start = min(at, len(editor.text))
        editor.edit(start, min(start + length, len(editor.text)), new)
    place = editor.place(min(cursor, len(editor.text)))
    cursor = plain_text.offset(editor.text, place["line"], place["character"], client.encoding)
    before, after = editor.text[:cursor], editor.text[cursor:]
    items = editor.ask(cursor, trigger)
    if not items:
        return
    wanted = plain_text.joined(before + shown(editor, items[0], cursor) + after)
    # a part is typed along it, as a person or an acceptance of one word does
    part = items[0]["insertText"][:typed]
    if typed and not part.endswith("\r"):
        editor.edit(cursor, cursor, part)
        items = editor.ask(cursor + len(part), 2) if len(part) < len(items[0]["insertText"]) else []
        assert items or editor.text == wanted or not client_can_go_on(part)
    if items:
        editor.accept(items[0])
        assert editor.text == wanted
    editor.save()
    assert client.items("untitled:none", 0, 0) == []
    assert not [line for line in client.log if "differed" in line or "failed" in line]


def client_can_go_on(part):
    """True where the rest of a suggestion must be there: not when joining surrogates has changed the text under it."""
    return not any("\ud800" <= char <= "\udfff" for char in part)
