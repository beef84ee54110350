import asyncio
import json
import re

import pytest
from results import record
from scale import SCALE
from shared import FIM, GENEROUS, PATIENT, FakeBackend, body, client_of, events, pool_of

from lsp_server.backends.base import BackendUnavailable
from shared_server.pool import SUSPECT_AFTER
from shared_server.settings import Limits, Quota, ServeSettings
from shared_server.tokens import add_token

EDIT = (
    "<|current_file_content|>\ncurrent_file_path: a.py\nimport os\n<|code_to_edit|>\nx = <|cursor|>\ny\n"
    "<|/code_to_edit|>\nz\n<|/current_file_content|>"
)
PATHS = {
    FIM: body(),
    "/v1/completions": body(),
    "/v1/edit/completions": {"messages": [{"role": "user", "content": EDIT}]},
    "/infill": {"input_prefix": "x", "input_suffix": ""},
}


def settings(**more):
    return ServeSettings(**{"limits": PATIENT, "quota": GENEROUS, **more})


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
async def client(backend):
    async with client_of(settings(), {"unmask": pool_of(backend)}) as made:
        yield made


async def test_a_middle_is_filled(client, backend):
    response = await client.post(FIM, json=body("def f():\n    return ", suffix="\n", path="a.py", language="python"))
    assert response.status_code == 200
    said = response.json()
    assert said["choices"] == [{"index": 0, "text": "<    return >", "logprobs": None, "finish_reason": "stop"}]
    assert (said["object"], said["model"]) == ("text_completion", "unmask")
    assert response.headers["x-unmask-level"] == "0"
    assert response.headers["cache-control"] == "no-store"
    assert backend.requests[0].path == "a.py"


async def test_several_middles_are_several_choices(client):
    response = await client.post(FIM, json=body(n=3))
    assert [choice["text"] for choice in response.json()["choices"]] == ["<x>", "x1", "x2"]


async def test_an_answer_ends_before_the_strings_it_is_to_end_at(client):
    response = await client.post(FIM, json=body("abc", stop=["c", "zz"]))
    assert response.json()["choices"][0]["text"] == "<ab"


async def test_a_stream_has_the_text_once_it_is_final(client):
    response = await client.post(FIM, json=body(stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    (only, done) = events(response)
    assert only["choices"][0] == {"index": 0, "text": "<x>", "logprobs": None, "finish_reason": "stop"}
    assert done == "[DONE]"


async def test_drafts_are_streamed_to_who_asks_for_them(client):
    *drafts, last, done = events(await client.post(FIM, json=body(stream=True, diffusing=True)))
    assert [draft["choices"][0]["text"] for draft in drafts] == ["a", "ab"]
    assert all(draft["choices"][0]["finish_reason"] is None for draft in drafts)
    assert last["choices"][0]["text"] == "<x>"
    assert done == "[DONE]"


async def test_lines_are_rewritten_at_the_cursor(client, backend):
    response = await client.post("/v1/edit/completions", json=PATHS["/v1/edit/completions"])
    content = response.json()["choices"][0]["message"]["content"]
    assert content == "```\nx = <x = >\ny\n```"
    asked = backend.requests[0]
    assert (asked.prefix, asked.suffix, asked.path) == ("import os\nx = ", "\ny\nz", "a.py")
    streamed = events(
        await client.post(
            "/v1/edit/completions", json={**PATHS["/v1/edit/completions"], "stream": True, "diffusing": True}
        )
    )
    contents = [part["choices"][0]["delta"]["content"] for part in streamed[:-1]]
    assert contents == ["```\nx = a\ny\n```", "```\nx = ab\ny\n```", content]


async def test_infill_speaks_llama_cpps_words(client):
    said = (await client.post("/infill", json=PATHS["/infill"])).json()
    assert (said["content"], said["stop"], said["tokens_predicted"]) == ("<x>", True, 3)
    chosen = {**PATHS["/infill"], "response_fields": ["content", "timings/predicted_n", "nothing"]}
    assert (await client.post("/infill", json=chosen)).json() == {"content": "<x>", "timings/predicted_n": 3}
    (event,) = events(await client.post("/infill", json={**PATHS["/infill"], "stream": True}))
    assert event["content"] == "<x>"


async def test_models_and_health(client, backend):
    (model,) = (await client.get("/v1/models")).json()["data"]
    assert (model["id"], type(model["created"])) == ("unmask", int)
    for path in ("/health", "/healthz"):
        backend.state = "ready"
        assert (await client.get(path)).json() == {"status": "ok"}
        backend.state = "starting"
        assert (await client.get(path)).status_code == 503


async def test_a_busy_replica_that_owes_answers_is_no_server_that_is_not_there():
    pool = pool_of(FakeBackend())
    async with client_of(settings(), {"unmask": pool}) as client:
        for _ in range(SUSPECT_AFTER):
            pool._replicas["r0"].owes()
        assert pool.states == {"r0": "suspect"}
        assert (await client.get("/healthz")).status_code == 200
        pool._replicas["r0"].backend.state = "starting"
        assert pool.states == {"r0": "starting"}
        assert (await client.get("/healthz")).status_code == 503


async def test_who_only_reads_pieces_ahead_has_nothing_filled(client, backend):
    ahead = {"input_prefix": "", "input_suffix": "", "n_predict": 0, "t_max_predict_ms": 1, "response_fields": [""]}
    response = await client.post("/infill", json=ahead)
    assert (response.status_code, response.json()) == (200, {})
    assert backend.requests == []


async def test_figures_are_prometheus_text_without_a_text_of_anybody(client):
    await client.post(FIM, json=body("s3cret", path="s3cret.py"), headers={"x-session-id": "s3cret"})
    text = (await client.get("/metrics")).text
    assert f'unmask_requests_total{{route="{FIM}",status="200",tenant="local"}} 1.0' in text
    assert 'unmask_replica_ready{engine="unmask",replica="r0"} 1.0' in text
    assert "s3cret" not in text
    values = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z_]+(\{.*\})? [0-9.e+-]+", line) for line in values)


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_no_json_gets_one_line(client, path):
    response = await client.post(path, content=b"{", headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert "\n" not in response.json()["error"]["message"]
    assert (await client.post(path, content=b"{}", headers={"content-type": "text/plain"})).status_code == 415


@pytest.mark.parametrize("path", PATHS)
async def test_other_methods_and_paths_are_refused(client, path):
    wrong = await client.get(path)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert FIM in wrong.json()["error"]["message"]
    gone = await client.post(path + "/x", json={})
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, 404)
    assert (await client.post("/v1/models", json={})).status_code == 405


async def test_a_body_that_is_too_large_is_refused_with_its_length_and_without():
    async with client_of(settings(limits=Limits(body_kb=1)), {"unmask": pool_of(FakeBackend())}) as client:
        assert (await client.post(FIM, json=body("x" * 2000))).status_code == 413

        async def parts():
            for _ in range(100):
                yield b"x" * 100

        response = await client.post(FIM, content=parts(), headers={"content-type": "application/json"})
        assert response.status_code == 413


@pytest.mark.parametrize(("fault", "status"), [("busy", 503), ("late", 504), ("often", 429)])
async def test_each_end_has_its_status_and_when_to_come_again(fault, status):
    backend = FakeBackend()
    limits, quota = Limits(typing_ms=50), Quota(burst=1, requests_per_s=0.1)
    async with client_of(
        settings(limits=limits, quota=quota if fault == "often" else GENEROUS), {"unmask": pool_of(backend)}
    ) as client:
        if fault == "busy":
            backend.faults = [BackendUnavailable("x")] * 2
        if fault == "often":
            await client.post(FIM, json=body())
        response = await client.post(FIM, json=body("hang"))
    assert response.status_code == status
    assert ("retry-after" in response.headers) == (status in (503, 429))
    assert response.json()["error"]["code"] == status


async def test_a_bug_is_a_500_without_its_words(caplog):
    backend = FakeBackend()
    backend.faults = [KeyError("s3cret")]
    async with client_of(settings(), {"unmask": pool_of(backend)}) as client:
        response = await client.post(FIM, json=body())
        assert response.status_code == 500
        assert "s3cret" not in response.text + caplog.text
        assert response.headers["x-request-id"] in caplog.text
        assert (await client.post(FIM, json=body())).status_code == 200


async def test_an_error_in_a_stream_is_its_last_event():
    backend = FakeBackend()
    async with client_of(settings(limits=Limits(typing_ms=80)), {"unmask": pool_of(backend)}) as client:
        *_, last = events(await client.post(FIM, json=body("hang", stream=True, diffusing=True)))
    assert last["error"]["code"] == 504


async def test_tokens_keep_tenants_apart(tmp_path):
    path, audit = tmp_path / "tokens", tmp_path / "audit"
    tokens = {name: add_token(path, name, "ann") for name in ("red", "blue", "operators")}
    backend = FakeBackend()
    settled = settings(tokens=str(path), audit=str(audit))
    async with client_of(settled, {"unmask": pool_of(backend)}) as client:
        for name in ("red", "blue", "red"):
            headers = {"authorization": f"Bearer {tokens[name]}", "x-session-id": "same"}
            assert (await client.post(FIM, json=body("s3cret"), headers=headers)).status_code == 200
        wrong = await client.post(FIM, json=body(), headers={"authorization": "Bearer nobody"})
        assert wrong.status_code == 401
        assert wrong.headers["www-authenticate"] == "Bearer"
        bearer = {"authorization": f"Bearer {tokens['operators']}"}
        assert (await client.get("/metrics", headers=bearer)).status_code == 200
        for door in ("/v1/models", "/metrics"):
            assert (await client.get(door)).status_code == 401
        assert (await client.get("/healthz")).status_code == 200
    red, blue, again = (request.session for request in backend.requests)
    assert red == again != blue
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["tenant"], line["status"]) for line in lines] == [
        ("red", 200),
        ("blue", 200),
        ("red", 200),
        ("", 401),
    ]
    assert lines[0]["bytes_in"] > 0
    assert lines[0]["chars_out"] == len("<s3cret>")
    assert "s3cret" not in audit.read_text()


async def test_many_mixed_requests_of_many_tenants_cross_nowhere(tmp_path):
    """What one is told is what it asked for, whatever others ask at the same time; with $UNMASK_SCALE as much more."""
    count = int(500 * SCALE)
    path = tmp_path / "tokens"
    tokens = [add_token(path, f"t{i % 5}", f"u{i}") for i in range(20)]
    backends = [FakeBackend() for _ in range(3)]
    crossings = others = 0
    async with client_of(settings(tokens=str(path)), {"unmask": pool_of(*backends, max_ongoing=4)}) as client:

        async def one(i):
            nonlocal crossings, others
            word = f"canary{i}x{i % 20}"
            headers = {"authorization": f"Bearer {tokens[i % 20]}", "x-session-id": f"file{i % 7}"}
            response = await client.post(FIM, json=body(word), headers=headers)
            if response.status_code == 200:
                crossings += response.json()["choices"][0]["text"] != f"<{word}>"
            else:
                others += 1
                assert response.status_code in (409, 503)

        for begin in range(0, count, 50):
            await asyncio.gather(*map(one, range(begin, min(count, begin + 50))))
    owners = {}
    for request in (request for backend in backends for request in backend.requests):
        owners.setdefault(request.session, set()).add(int(request.prefix.rpartition("x")[2]))
    # a session behind the gateway is one person's
    assert all(len(users) == 1 for users in owners.values())
    assert crossings == 0
    assert others < count / 2
    record("mixed requests of tenants", requests=count, answered=count - others, crossings=crossings)
