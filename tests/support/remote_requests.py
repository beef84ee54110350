"""A request to a remote server on loopback, and what it said."""

from coder_model.types import FillRequest
from lsp_server.backends.remote_apis import SHAPES
from lsp_server.user_settings import Remote

KINDS = list(SHAPES)
PREFIX, SUFFIX = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"


def request(session="s", prefix=PREFIX, suffix=SUFFIX, **more):
    return FillRequest(session, prefix, suffix, path="dir/a.py", **more)


def settings(service, kind="openai", **more):
    return Remote(kind, url=service.url, key_variable="TEST_KEY", **more)


async def said(backend, asked):
    drafts = [draft async for draft in backend.fill(asked)]
    assert len(drafts) == 1
    assert drafts[0].final
    return drafts[0].text
