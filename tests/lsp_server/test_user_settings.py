"""The user's own file: read strictly, and the only thing that names a model or a server."""

import asyncio

import pytest
from fake_service import FakeService
from lsp_client import LspClient
from processes import wait_until
from remote_requests import PREFIX, SUFFIX
from tiny_user import UNMASK, TinyUser

from coder_model.types import InvalidInput
from lsp_server.user_settings import Remote, UserSettings, read_user_settings


def test_the_users_file_is_read_strictly(tmp_path):
    path = tmp_path / "settings.toml"
    assert read_user_settings(path) == UserSettings()
    path.write_text('model = "dreamon-7b"\nquantize = "int4"\n[remote]\nkind = "mercury"\ntimeout_s = 2\n')
    assert read_user_settings(path).remote == Remote("mercury", timeout_s=2)
    for text in ("model = 3", "models = 'x'", "[remote]\nkind = 'copilot'", "[remote]\nkind='openai'\nkey='x'", "x"):
        path.write_text(text)
        with pytest.raises(InvalidInput, match="settings.toml must be the user's settings"):
            read_user_settings(path)


def started(user, **options):
    return LspClient([*UNMASK, "lsp"], options=options, environment=user.environment)


async def test_an_editor_gets_ghost_text_from_a_remote_server_and_is_told_so(tmp_path):
    async with FakeService("a + b") as service:
        user = TinyUser(tmp_path)
        user.environment["TEST_KEY"] = "k3y"
        user.configure(f'[remote]\nkind = "openai"\nurl = "{service.url}"\nkey_variable = "TEST_KEY"\n')

        def session():
            client = started(user)
            try:
                client.open("file:///work/a.py", PREFIX + SUFFIX)
                return client.items("file:///work/a.py", 1, 11), client.told
            finally:
                client.close()

        items, told = await asyncio.to_thread(session)
        assert [item["insertText"] for item in items] == ["a + b"]
        assert [message.partition(" at ")[0] for message in told] == ["on: openai"]
        assert service.bodies[0]["prompt"] == PREFIX


def test_a_workspace_cannot_name_a_server_or_a_model(tmp_path):
    """Everything a client may send under our name, and files of a hostile repository."""
    hostile = {"kind": "openai", "url": "https://evil.example", "key_variable": "HOME"}
    workspace = tmp_path / "workspace"
    (workspace / ".config/unmask").mkdir(parents=True)
    for name in ("settings.toml", ".unmask.toml", ".config/unmask/settings.toml"):
        (workspace / name).write_text('[remote]\nkind = "openai"\nurl = "https://evil.example"\n')
    user = TinyUser(tmp_path / "home")
    client = started(user, remote=hostile, model="evil", url="https://evil.example")
    try:
        client.open((workspace / "a.py").as_uri(), "x = ")
        client.items((workspace / "a.py").as_uri(), 0, 4)
        assert not any("evil" in message or "goes to" in message for message in client.told)
    finally:
        client.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("quantize = 3", "settings.toml"),
        ("no TOML", "settings.toml"),
        ("[remote]\nkind = 'copilot'", "settings.toml"),
        ("[remote]\nkind = 'mercury'\nkey_variable = 'NOT_THERE'", "needs a key"),
        ("[remote]\nkind = 'openai'\nurl = 'http://example.com'", "HTTPS"),
    ],
)
def test_what_is_wrong_in_the_file_of_the_user_is_a_status_and_leaves_a_model(tmp_path, text, told):
    user = TinyUser(tmp_path)
    user.configure(text)
    client = started(user)
    try:
        client.open("file:///work/a.py", "def add(a, b):\n    return ")
        assert wait_until(lambda: client.items("file:///work/a.py", 1, 11, 1), 30)
        assert wait_until(lambda: any(told in message for message in client.told))
    finally:
        client.close()
