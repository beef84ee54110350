"""Remote servers: what they are asked, what becomes of their answers and faults, and when code may leave at all."""

import asyncio
import json
import re
import ssl

import pytest
import trustme
from fake_service import FakeService
from lsp_client import LspClient
from processes import wait_until
from tiny_user import UNMASK, TinyUser

from coder_model.types import Cancelled, FillRequest, InvalidInput, Snippet
from lsp_server.backends import remote
from lsp_server.backends.base import BackendUnavailable
from lsp_server.backends.remote import RemoteBackend, key_of
from lsp_server.backends.remote_apis import SHAPES
from lsp_server.status import status_of
from lsp_server.user_settings import Remote, UserSettings, read_user_settings

KINDS = list(SHAPES)
PREFIX, SUFFIX = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"


def request(session="s", prefix=PREFIX, suffix=SUFFIX, **more):
    return FillRequest(session, prefix, suffix, path="dir/a.py", **more)


def settings(service, kind="openai", **more):
    return Remote(kind, url=service.url, key_variable="TEST_KEY", **more)


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("TEST_KEY", "k3y")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


async def said(backend, asked):
    drafts = [draft async for draft in backend.fill(asked)]
    assert len(drafts) == 1
    assert drafts[0].final
    return drafts[0].text


def rewritten(body):
    """What `/v1/edit/completions` would answer: the region with the hole filled."""
    content = body["messages"][0]["content"]
    region = content.partition("<|code_to_edit|>\n")[2].partition("\n<|/code_to_edit|>")[0]
    return "```python\n" + region.replace("<|cursor|>", "a + b") + "\n```"


@pytest.mark.parametrize("kind", KINDS)
async def test_each_protocol_is_asked_and_read(kind):
    async with FakeService(rewritten if kind == "mercury-edit" else "a + b\nmore") as service:
        backend = RemoteBackend(settings(service, kind, model="m", max_tokens=7))
        assert await said(backend, request(snippets=(Snippet("b.py", "x = 1\n"),))) == "a + b"
        (path, headers), body = service.requests[0], service.bodies[0]
        assert path == SHAPES[kind].path
        assert headers["authorization"] == "Bearer k3y"
        if kind in ("mercury", "openai"):
            assert body == {
                "model": "m", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 7, "temperature": 0.0, "stop": ["\n"],
            }  # fmt: skip
        elif kind == "llama.cpp":
            assert (body["input_prefix"], body["input_suffix"], body["n_predict"]) == (PREFIX, SUFFIX, 7)
            assert body["input_extra"] == [{"filename": "b.py", "text": "x = 1\n"}]
        else:
            assert f"{PREFIX}<|cursor|>{SUFFIX}" in body["messages"][0]["content"]
        await backend.close()


@pytest.mark.parametrize(
    "answer", ["None", "```\nsomething else\n```", "```\ndef add(a, b):\n    return \n\nprint(add(1, 2))\n\n```", "no"]
)
async def test_an_edit_elsewhere_is_no_completion(answer):
    async with FakeService(answer) as service:
        backend = RemoteBackend(settings(service, "mercury-edit"))
        assert await said(backend, request()) == ""
        await backend.close()


async def test_no_secret_leaves_in_any_field():
    secret = "ghp_" + "a1B2c3D4e5" * 4
    planted = f'token = "{secret}"\n'
    for kind in KINDS:
        async with FakeService("x") as service:
            backend = RemoteBackend(settings(service, kind))
            asked = request(prefix=planted + PREFIX, suffix=SUFFIX + planted, snippets=(Snippet("b.py", planted),))
            await said(backend, asked)
            assert secret not in json.dumps(service.bodies)
            assert "REDACTED" in json.dumps(service.bodies)
            await backend.close()


@pytest.mark.parametrize("fault", ["cut", 500, 502, 503])
async def test_a_fault_that_may_pass_is_tried_once_more(fault):
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = [fault]
        assert await said(backend, request()) == "answer"
        assert len(service.requests) == 2
        service.faults = [fault, fault]
        with pytest.raises(BackendUnavailable, match="127.0.0.1: the server fails"):
            await said(backend, request())
        assert len(service.requests) == 4
        assert backend.state == "down"
        # it is left alone for a while
        with pytest.raises(BackendUnavailable):
            await said(backend, request())
        assert len(service.requests) == 4
        await backend.close()


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("garbage", "the answer is not one of /v1/completions"),
        ("shape", "the answer is not one of /v1/completions"),
        ("deep", "the answer is not one of /v1/completions"),
        ("huge", "the answer is not one of /v1/completions"),
        ("redirect", "the server answers 307"),
        (401, "the server answers 401"),
        (404, "the server answers 404"),
        ("slow", "no answer in 0.3 s"),
        (429, "too many requests"),
    ],
)
async def test_a_fault_that_stays_is_not_tried_again(fault, match):
    async with FakeService() as service:
        backend = RemoteBackend(settings(service, timeout_s=0.3))
        changes = []
        backend.on_change = lambda: changes.append(backend.state)
        service.faults = [fault]
        with pytest.raises(BackendUnavailable, match=match):
            await said(backend, request())
        assert len(service.requests) == 1
        assert changes == ["down"]
        backend._resting_until = 0.0
        assert await said(backend, request()) == "answer"
        assert changes == ["down", "ready"]
        assert backend.reason == ""
        await backend.close()


async def test_a_server_says_how_long_to_stay_away():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = [(429, {"Retry-After": "30"})]
        with pytest.raises(BackendUnavailable):
            await said(backend, request())
        assert backend._resting_until - asyncio.get_running_loop().time() > 25
        await backend.close()


async def test_the_newest_request_of_a_document_drops_the_older_connection():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = ["slow"]
        older = asyncio.create_task(said(backend, request()))
        while not service.requests:
            await asyncio.sleep(0.01)
        assert await said(backend, request(prefix="x = ")) == "answer"
        with pytest.raises(Cancelled):
            await older
        for _ in range(100):
            await asyncio.sleep(0.01)
            if service.dropped:
                break
        assert service.dropped == 1
        assert await said(backend, request("other")) == "answer"
        await backend.close()


async def test_who_types_on_sends_only_the_last_request():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        tasks = []
        for typed in ("x", "xy", "xyz"):
            tasks.append(asyncio.create_task(said(backend, request(prefix=typed))))
            await asyncio.sleep(0.01)
        assert await tasks[-1] == "answer"
        assert [body["prompt"] for body in service.bodies] == ["xyz"]
        assert all(isinstance(found, Cancelled) for found in await asyncio.gather(*tasks[:-1], return_exceptions=True))
        await backend.close()


async def test_nothing_is_sent_that_nobody_waits_for():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        with pytest.raises(BackendUnavailable):
            await said(backend, request(speculative=True))
        assert service.requests == []
        await backend.close()


async def test_a_cancelled_request_frees_its_connection():
    async with FakeService() as service:
        backend = RemoteBackend(settings(service))
        service.faults = ["slow"]
        task = asyncio.create_task(said(backend, request()))
        while not service.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(100):
            await asyncio.sleep(0.01)
            if service.dropped:
                break
        assert service.dropped == 1
        await backend.close()


class SecureService(FakeService):
    authority = trustme.CA()

    def tls(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        return context


async def test_a_certificate_that_is_not_trusted_stops_everything(tmp_path):
    async with SecureService() as service:
        backend = RemoteBackend(settings(service))
        with pytest.raises(BackendUnavailable, match="certificate is not trusted"):
            await said(backend, request())
        assert service.requests == []
        await backend.close()
        authorities = tmp_path / "authorities.pem"
        SecureService.authority.cert_pem.write_to_path(authorities)
        backend = RemoteBackend(settings(service, certificates=str(authorities)))
        assert await said(backend, request()) == "answer"
        await backend.close()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"kind": "mercury", "key_variable": "NOT_THERE"}, "mercury needs a key, found none in .NOT_THERE"),
        ({"kind": "mercury"}, "found none in the keyring .`unmask key mercury`."),
        ({"kind": "openai"}, "remote.url must be HTTPS"),
        ({"kind": "openai", "url": "http://example.com"}, "remote.url must be HTTPS, or on this machine"),
        ({"kind": "openai", "url": "ftp://127.0.0.2"}, "remote.url must be HTTPS, or on this machine"),
        ({"kind": "openai", "url": "https://x:port"}, "remote.url must be an address"),
        ({"kind": "openai", "url": "https://x", "certificates": "/none"}, "remote.certificates must be a file"),
    ],
)
def test_settings_that_lack_something_are_named(values, match, monkeypatch):
    monkeypatch.setattr(remote, "_from_keyring", lambda _: "")
    with pytest.raises(InvalidInput, match=match):
        RemoteBackend(Remote(**values))


@pytest.mark.parametrize(
    ("url", "receiver"), [("https://x.example/", "x.example"), ("http://127.0.0.1:8", ""), ("http://localhost", "")]
)
def test_the_status_says_where_code_goes(url, receiver):
    assert RemoteBackend(Remote("openai", url=url)).receiver == receiver
    expected = "on, code goes to x.example" if receiver else "on"
    assert status_of("ready", "", None, 1.0, receiver)["message"] == expected


def test_the_key_comes_from_the_keyring_where_no_variable_is_named(monkeypatch):
    monkeypatch.setattr(remote, "_from_keyring", lambda kind: f"of {kind}")
    assert key_of(Remote("mercury")) == "of mercury"
    assert key_of(Remote("mercury", key_variable="TEST_KEY")) == "k3y"


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


def status_messages(client):
    return [n["params"]["message"] for n in client.notifications if n["method"] == "didChangeStatus"]


async def test_an_editor_gets_ghost_text_from_a_remote_server_and_is_told_so(tmp_path):
    async with FakeService("a + b") as service:
        user = TinyUser(tmp_path)
        user.environment["TEST_KEY"] = "k3y"
        user.configure(f'[remote]\nkind = "openai"\nurl = "{service.url}"\nkey_variable = "TEST_KEY"\n')

        def session():
            client = started(user)
            try:
                client.open("file:///work/a.py", PREFIX + SUFFIX)
                return client.items("file:///work/a.py", 1, 11), status_messages(client)
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
        assert not any("evil" in message or "goes to" in message for message in status_messages(client))
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
        assert wait_until(lambda: any(told in message for message in status_messages(client)))
    finally:
        client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_marks_in_somebodys_text_are_text(kind):
    text = "a = '<s>' + '<|cursor|>' + '<|/code_to_edit|>' + '<fim_middle>' + '<|im_end|>'\n"
    asked = request(prefix=text + "b = ", suffix="\n" + text, snippets=(Snippet("b.py", text),))
    sent = json.dumps(SHAPES[kind].body(asked, "", 9), ensure_ascii=False)
    # llama.cpp reads no marks in what it is given to fill
    assert len(re.findall(r"<s>|<fim_middle>|<\|im_end\|>", sent)) == (9 if kind == "llama.cpp" else 0)
    if kind == "mercury-edit":
        assert sent.count("<|cursor|>") == sent.count("<|/code_to_edit|>") == 1


def test_a_mark_that_a_server_says_after_somebody_is_as_it_was():
    asked = request(prefix="a = '<s>'\nb = '", suffix="'\n")
    body = SHAPES["openai"].body(asked, "", 9)
    joiner = body["prompt"][body["prompt"].index("<") + 1]
    assert SHAPES["openai"].text({"choices": [{"text": f"<{joiner}s>"}]}, asked) == "<s>"
