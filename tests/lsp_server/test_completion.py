"""Which fills a document's events begin and end, with a backend that answers when a test wants it to."""

import asyncio
from types import SimpleNamespace

import pytest

from coder_model.text.privacy import Privacy
from coder_model.types import Cancelled, Draft
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.documents import Documents, Position
from lsp_server.settings import Settings
from lsp_server.usage_stats import UsageStats

URI = "untitled:a.py"


class PatientBackend:
    """Answers `found` once `answers` is set; a newer fill of a document ends the older one, as in the worker."""

    serving = None

    def __init__(self):
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = []

    async def wait_ready(self):
        pass

    async def fill(self, request, watch=False):
        self.asked.append(request)
        await self.answers.wait()
        if request is not self.asked[-1]:
            raise Cancelled
        yield Draft("found", True, 1.0, 1, 1, 1.0)


@pytest.fixture
async def editor(tmp_path):
    """A completer, its backend, and a document that is edited by `replace`."""
    documents, backend = Documents(), PatientBackend()
    settings = Settings(preset="eager")
    made = Completer(documents, backend, Context(documents, Privacy([])), settings, UsageStats(tmp_path))

    def opened(text):
        documents.open(URI, "python", 1, text)
        return documents.get(URI)

    async def asked(line, character, invoked=False):
        answer = await made.complete(URI, Position(line, character), invoked=invoked)
        return [item.text for item in answer.suggestions]

    return SimpleNamespace(completer=made, backend=backend, opened=opened, asked=asked)


async def test_an_acceptance_does_not_end_what_somebody_waits_for(editor):
    document = editor.opened("x = \n")
    (suggestion,) = (await editor.completer.complete(URI, Position(0, 4), invoked=False)).suggestions
    document.replace(Position(0, 4), Position(0, 4), suggestion.text + "(")
    editor.backend.answers.clear()
    running = asyncio.create_task(editor.asked(0, 10))
    while len(editor.backend.asked) < 2:
        await asyncio.sleep(0)
    editor.completer.accepted(suggestion.made)
    await asyncio.sleep(0)
    editor.backend.answers.set()
    assert await running == ["found"]


async def test_what_comes_after_an_acceptance_is_looked_for_where_nobody_waits(editor):
    editor.opened("x = \n")
    (suggestion,) = (await editor.completer.complete(URI, Position(0, 4), invoked=False)).suggestions
    editor.backend.answers.clear()
    for count in (1, 2):
        editor.completer.accepted(suggestion.made)
        while len(editor.backend.asked) <= count:
            await asyncio.sleep(0)
    assert [request.speculative for request in editor.backend.asked] == [False, True, True]


def taken_away(document, first, last, whole):
    """Deletes from a place to another, by a change of a range or of the whole text."""
    if not whole:
        return document.replace(Position(*first), Position(*last), "")
    lines = document.lines
    head, tail = "".join(lines[: first[0]]) + lines[first[0]][: first[1]], lines[last[0]][last[1] :]
    return document.replace_all(head + tail + "".join(lines[last[0] + 1 :]))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("first", "last", "silent", "asked"),
    [
        # a line, in which the cursor then is anywhere; the last one; the end of one; a character
        ((1, 0), (2, 0), [(1, 4)], [(2, 4), (0, 4)]),
        ((2, 4), (3, 4), [(2, 4)], [(1, 4), (0, 4)]),
        ((1, 3), (1, 4), [(1, 3)], [(2, 4), (0, 4)]),
    ],
)
async def test_nothing_is_offered_where_something_was_just_deleted(editor, whole, end, first, last, silent, asked):
    editor.completer.settings = Settings(preset="balanced")
    document = editor.opened(end.join(["a = ", "b = ", "c = ", "d = "]))
    taken_away(document, first, last, whole)
    assert [await editor.asked(*place) for place in silent] == [[]] * len(silent)
    assert [await editor.asked(*place) for place in asked] == [["found"]] * len(asked)


async def test_what_is_deleted_key_by_key_is_one_deletion_in_texts_that_are_sent_whole(editor):
    document = editor.opened("a = 1\nbcd\n")
    for text in ("a = 1\nbc\n", "a = 1\nb\n"):
        document.replace_all(text)
    document.replace(Position(1, 0), Position(1, 1), "")
    assert (document.deletions, document.deleted) == (3, "bcd")
    assert document.deletions_at(1, 0) == 3
    assert document.deletions_at(0, 5) == 0
