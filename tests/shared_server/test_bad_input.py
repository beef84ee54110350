"""What no client should send and no machine should do: the right status, one line of reason, nothing of another tenant,
and the rest goes on. Slow clients are in `test_listener.py`, replicas that die or hang in `test_survival.py`."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from shared import FIM, GENEROUS, PATIENT, FakeBackend, body, client_of, pool_of

from shared_server.engines import local_pool
from shared_server.settings import EngineSettings, Limits, ServeSettings
from shared_server.tokens import add_token

OTHERS = "canary_of_another_tenant"
GOOD = {"content-type": "application/json"}


def sent(data):
    return data if isinstance(data, bytes) else json.dumps(data).encode()


BAD = {
    "no JSON": (400, b"{", {}),
    "nothing": (400, b"", {}),
    "a list": (400, [], {}),
    "not UTF-8": (400, b'{"prompt": "\xff"}', {}),
    "half a surrogate": (400, b'{"prompt": "\\ud83d"}', {}),
    "a number for a text": (400, {"prompt": 1}, {}),
    "no prompt": (400, {"suffix": "x"}, {}),
    "an unknown field": (400, body(n_discard=-1), {}),
    "as many tokens as do not fit": (400, body(max_tokens=2**63), {}),
    "no number": (400, b'{"prompt": "x", "temperature": NaN}', {}),
    "nested without end": (400, b"[" * 100_000, {}),
    "a huge body": (413, body("x" * (1 << 20)), {}),
    "the word of a huge body": (413, body(), {"content-length": str(1 << 40)}),
    "the word of one that no number holds": (413, body(), {"content-length": "9" * 400}),
    "another type": (415, body(), {"content-type": "text/plain"}),
    "a wrong token": (401, body(), {"authorization": "Bearer wrong"}),
    "an empty token": (401, body(), {"authorization": "Bearer "}),
    "another scheme": (401, body(), {"authorization": "Basic YTpi"}),
    "a token that is no text": (401, body(), {"authorization": b"Bearer \xff\xfe"}),
    "a huge token": (401, body(), {"authorization": "Bearer " + "x" * 60_000}),
    "a model that is not there": (404, body(model="gpt-9"), {}),
    "a huge session": (400, body(), {"x-session-id": "s" * 10_000}),
    "a deadline that is none": (400, body(), {"x-deadline-ms": "soon"}),
    "a deadline of the last century": (504, body(), {"x-deadline-ms": "1"}),
    "a deadline in a thousand years": (400, body(), {"x-deadline-ms": "33320000000000"}),
    "an unknown priority": (400, body(), {"x-priority": "first"}),
    "a file with secrets": (400, body(path="/home/me/.ssh/id_rsa"), {}),
}


@pytest.fixture
def tokens(tmp_path):
    return {name: add_token(tmp_path / "tokens", name, "ann") for name in ("red", "blue")}


def settings(tmp_path, **more):
    made = {"tokens": str(tmp_path / "tokens"), "audit": str(tmp_path / "audit"), "limits": PATIENT}
    return ServeSettings(quota=GENEROUS, **{**made, **more})


@pytest.mark.parametrize("bad", BAD)
async def test_it_is_refused_in_one_line_and_the_next_request_is_answered(bad, tmp_path, tokens, caplog):
    status, data, headers = BAD[bad]
    async with client_of(settings(tmp_path), {"unmask": pool_of(FakeBackend())}) as client:
        other = {**GOOD, "authorization": f"Bearer {tokens['blue']}", "x-session-id": OTHERS}
        assert (await client.post(FIM, content=sent(body(OTHERS)), headers=other)).status_code == 200
        mine = {**GOOD, "authorization": f"Bearer {tokens['red']}"}
        refused = await client.post(FIM, content=sent(data), headers={**mine, **headers})
        assert refused.status_code == status
        reason = refused.json()["error"]["message"]
        assert reason
        assert "\n" not in reason
        assert len(reason) < 300
        assert OTHERS not in refused.text + str(refused.headers)
        assert (await client.post(FIM, content=sent(body()), headers=mine)).status_code == 200
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [line["status"] for line in lines] == [200, status, 200]
    assert OTHERS not in (tmp_path / "audit").read_text() + caplog.text


async def test_a_client_that_does_not_read_its_answer_is_given_up():
    begun = asyncio.Event()

    async with client_of(
        ServeSettings(quota=GENEROUS, limits=Limits(typing_ms=20_000, answer_s=0.05)),
        {"unmask": pool_of(FakeBackend())},
    ) as client:
        messages = [{"type": "http.request", "body": sent(body()), "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            return await asyncio.Event().wait()

        async def send(_):
            begun.set()
            await asyncio.Event().wait()

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {
            "type": "http", "method": "POST", "path": FIM, "raw_path": FIM.encode(), "query_string": b"",
            "root_path": "", "scheme": "http", "http_version": "1.1", "headers": headers, "server": ("localhost", 1),
        }  # fmt: skip
        async with asyncio.timeout(10):
            await client._transport.app(scope, receive, send)
        assert begun.is_set()
        figures = (await client.get("/metrics")).text
        assert f'unmask_requests_total{{route="{FIM}",status="499",tenant="local"}} 1.0' in figures
        assert (await client.post(FIM, json=body())).status_code == 200


async def test_a_prompt_longer_than_the_model_is_cropped_and_answered():
    long = "".join(f"value_{i} = {i}\n" for i in range(9_000)) + "total = value_8999 + "
    patient = ServeSettings(quota=GENEROUS, limits=Limits(typing_ms=30_000, body_kb=1024))
    async with client_of(patient, {"unmask": local_pool(EngineSettings())}) as client:
        response = await client.post(FIM, json=body(long, suffix="\n" + long, stop="\n"))
    assert response.status_code == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
async def test_a_full_disk_costs_lines_of_the_audit_and_no_request(capsys):
    full = ServeSettings(quota=GENEROUS, limits=PATIENT, audit="/dev/full")
    async with client_of(full, {"unmask": pool_of(FakeBackend())}) as client:
        for _ in range(3):
            assert (await client.post(FIM, json=body())).status_code == 200
        assert "unmask_audit_lines_lost 3.0" in (await client.get("/metrics")).text
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
async def test_a_jump_of_the_clock_ends_no_request_and_prolongs_none(jump_s, monkeypatch):
    wall = time.time
    backend = FakeBackend(seconds=0.1)
    async with client_of(
        ServeSettings(quota=GENEROUS, limits=Limits(typing_ms=300)), {"unmask": pool_of(backend)}
    ) as client:
        running = asyncio.create_task(client.post(FIM, json=body()))
        while not backend.now:
            await asyncio.sleep(0)
        monkeypatch.setattr(time, "time", lambda: wall() + jump_s)
        assert (await running).status_code == 200
        began = time.monotonic()
        assert (await client.post(FIM, json=body("hang"))).status_code == 504
        assert 0.2 < time.monotonic() - began < 5
        # a moment of the clock that the client still has
        response = await client.post(FIM, json=body(), headers={"x-deadline-ms": str(int((wall() + 5) * 1000))})
        assert response.status_code == (400 if jump_s < 0 else 504)
        assert (await client.post(FIM, json=body())).status_code == 200
