"""Lines rewritten by a service: what `/v1/edit/completions` is asked, and what becomes of its answer."""

import base64
import json
import random
import re
from collections import Counter
from dataclasses import replace

import pytest
from edited import URI, edited_by_hand
from fake_service import FakeService
from remote_requests import KINDS, request, settings

from coder_model.text.privacy import Privacy
from coder_model.types import Snippet
from lsp_server.backends.base import BackendUnavailable
from lsp_server.backends.remote import RemoteBackend
from lsp_server.backends.remote_apis import LINES_TO_EDIT, edited_region, next_edit_body
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.documents import Position
from lsp_server.edit_offers import EditOffers
from lsp_server.settings import Settings
from lsp_server.usage_stats import UsageStats

SECTIONS = re.compile(
    r"<\|recently_viewed_code_snippets\|>\n(?P<viewed>.*)\n<\|/recently_viewed_code_snippets\|>\n\n"
    r"<\|current_file_content\|>\ncurrent_file_path: (?P<path>.*?)\n(?P<head>.*?)\n?<\|code_to_edit\|>\n"
    r"(?P<upto>.*)<\|cursor\|>(?P<since>.*)\n<\|/code_to_edit\|>\n(?P<tail>.*)\n<\|/current_file_content\|>\n\n"
    r"<\|edit_diff_history\|>\n(?P<diffs>.*)\n<\|/edit_diff_history\|>\n",
    re.DOTALL,
)
DIFF = "--- a.py\n+++ a.py\n@@ -1,1 +1,1 @@\n-def f(n):\n+def f(m):"


def sections(body):
    (message,) = body["messages"]
    assert message["role"] == "user"
    return SECTIONS.fullmatch(message["content"]).groupdict()


def test_the_prompt_has_the_sections_of_the_service():
    lines = [f"line {n}" for n in range(20)]
    prefix, suffix = "\n".join(lines[:10]) + "\nli", "ne 10\n" + "\n".join(lines[11:])
    asked = request(prefix=prefix, suffix=suffix, snippets=(Snippet("lib/b.py", "x = 1\n"),))
    body = next_edit_body(asked, [DIFF, DIFF.replace("f(", "g(")], "mercury-edit-2", 99)
    found = sections(body)
    assert (body["model"], body["max_tokens"]) == ("mercury-edit-2", 99)
    assert found["viewed"].startswith("<|recently_viewed_code_snippet|>\ncode_snippet_file_path: b.py\nx = 1\n")
    assert found["path"] == "a.py"
    assert found["head"].split("\n") == lines[: 10 - LINES_TO_EDIT]
    assert (found["upto"] + found["since"]).split("\n") == lines[10 - LINES_TO_EDIT : 11 + LINES_TO_EDIT]
    assert found["upto"].endswith("\nli")
    assert found["tail"].split("\n") == lines[11 + LINES_TO_EDIT :]
    # the newest one last
    assert found["diffs"] == DIFF + "\n" + DIFF.replace("f(", "g(")


def answer(content):
    return {"choices": [{"message": {"content": content}}]}


@pytest.mark.parametrize(
    ("content", "new"),
    [
        ("```python\na = 2\nb = a\n```", "a = 2\nb = a"),
        ("a = 2\nb = a", "a = 2\nb = a"),
        ("```\na = 1\nb = a\n```", None),
        ("None", None),
        ("```\na = 1<|cursor|>\nb = a\n```", None),
        ("a = REDACTED\nb = a", None),
    ],
)
def test_the_answer_is_the_lines_as_they_should_be(content, new):
    asked = request(prefix="a = ", suffix="1\nb = a")
    assert edited_region(answer(content), asked) == (new and ("a = 1\nb = a", new))


def test_lines_with_a_secret_stay():
    secret = "ghp_" + "a1B2c3D4e5" * 4
    asked = request(prefix=f'token = "{secret}"\nb = ', suffix="1\n")
    assert secret not in json.dumps(next_edit_body(asked, [], "", 9))
    assert edited_region(answer('token = "REDACTED"\nb = 2\n'), asked) is None


@pytest.mark.parametrize("found", [{}, {"choices": []}, answer(None), answer(3)])
def test_an_answer_of_another_shape_is_an_error(found):
    with pytest.raises((LookupError, TypeError)):
        edited_region(found, request())


def test_only_the_service_that_rewrites_lines_has_an_editor():
    class Nowhere:
        url = "http://localhost:1"

    found = {kind: RemoteBackend(settings(Nowhere, kind)).editor is not None for kind in KINDS}
    assert [kind for kind, has in found.items() if has] == ["mercury-edit"]


def offers_of(documents, backend, root):
    offers, privacy = EditOffers(documents, Counter()), Privacy([root])
    context = Context(documents, privacy)
    completer = Completer(documents, backend, context, Settings(), UsageStats(root))
    offers.serve_with(completer, context, backend)
    return offers


TEXT = "x = {{1||2}}\n" + "\n".join(f"a{n} = {n}" for n in range(9)) + "\n"


async def test_what_the_service_makes_of_the_lines_is_one_edit(tmp_path):
    def rewritten(body):
        found = sections(body)
        return f"```python\n{(found['upto'] + found['since']).replace('a1 = 1', 'a1 = x')}\n```"

    async with FakeService(rewritten) as service:
        documents, _ = edited_by_hand(TEXT)
        backend = RemoteBackend(settings(service, "mercury-edit"))
        reply = await offers_of(documents, backend, tmp_path).offer(URI, 1, Position(0, 5))
        (edit,) = reply()["edits"]
        assert edit["text"] == "x"
        assert edit["range"] == {"start": {"line": 2, "character": 5}, "end": {"line": 2, "character": 6}}
        found = sections(service.bodies[0])
        assert found["diffs"] == "--- a.py\n+++ a.py\n@@ -1,1 +1,1 @@\n-x = 1\n+x = 2"
        await backend.close()


async def test_what_a_rule_finds_is_offered_and_nothing_is_sent(tmp_path):
    async with FakeService("None") as service:
        documents, _ = edited_by_hand("def f({{n||m}}):\n    return n\n")
        backend = RemoteBackend(settings(service, "mercury-edit"))
        reply = await offers_of(documents, backend, tmp_path).offer(URI, 1, Position(0, 7))
        assert reply()["edits"][0]["text"] == "m"
        assert service.bodies == []
        await backend.close()


async def test_edits_of_files_that_may_not_be_shown_are_not_sent_nor_secrets_in_edits(tmp_path):
    secret = "ghp_" + "a1B2c3D4e5" * 4
    async with FakeService("None") as service:
        documents, document = edited_by_hand(TEXT)
        documents.open("file:///work/.env", "", 1, "KEY=\n")
        documents.get("file:///work/.env").replace(Position(0, 4), Position(0, 4), "hush")
        document.replace(Position(5, 0), Position(5, 0), f'token = "{secret}"\n')
        backend = RemoteBackend(settings(service, "mercury-edit"))
        reply = await offers_of(documents, backend, tmp_path).offer(URI, 1, Position(0, 5))
        assert reply() == {"edits": []}
        assert len(service.bodies) == 1
        assert "hush" not in json.dumps(service.bodies)
        assert secret not in json.dumps(service.bodies)
        await backend.close()


async def test_a_key_that_was_just_deleted_is_in_no_diff(tmp_path):
    digits = base64.b64encode(random.Random(0).randbytes(96)).decode()
    rows = ["-----BEGIN PRIVATE KEY-----", digits[:64], digits[64:76], digits[76:80], "-----END PRIVATE KEY-----"]
    async with FakeService("None") as service:
        documents, document = edited_by_hand(TEXT + "\n".join(rows) + "\n")
        document.replace(Position(10, 0), Position(15, 0), "")
        backend = RemoteBackend(settings(service, "mercury-edit"))
        await offers_of(documents, backend, tmp_path).offer(URI, 1, Position(0, 5))
        assert "REDACTED" in sections(service.bodies[0])["diffs"]
        assert not [row for row in rows[1:-1] if row in json.dumps(service.bodies)]
        await backend.close()


async def test_a_service_that_fails_is_silence_and_is_left_alone(tmp_path):
    async with FakeService("None") as service:
        service.faults = ["shape"]
        documents, _ = edited_by_hand(TEXT)
        backend = RemoteBackend(settings(service, "mercury-edit"))
        offers = offers_of(documents, backend, tmp_path)
        for _ in range(2):
            assert (await offers.offer(URI, 1, Position(0, 5)))() == {"edits": []}
        assert len(service.bodies) == 1
        with pytest.raises(BackendUnavailable):
            await backend.editor(replace(request(), path="file:///work/.env"), [])
        await backend.close()
