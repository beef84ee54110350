import asyncio
import json

import pytest
from http_endpoint import TOKEN, asked, begun, ended, served

from coder_model.types import InvalidInput
from lsp_server.settings import Settings
from unmask_cli.endpoint import shapes
from unmask_cli.endpoint.server import MOST_BODY_BYTES, HttpEndpoint

BODY = {"prompt": "x = ", "suffix": "\n", "stop": ["\n"]}


async def test_a_completion_is_answered_whole_or_as_events():
    async with served() as server:
        status, answer = await asked(server, "/v1/completions", BODY)
        assert (status, answer["choices"][0]["text"]) == (200, "<x = |line|~>")
        _, headers, body = await ended(await begun(server, "/v1/completions", BODY | {"stream": True}))
        assert headers["content-type"] == "text/event-stream"
        event, done, rest = body.split(b"\n\n")
        assert json.loads(event.removeprefix(b"data: "))["choices"][0]["text"] == "<x = |line|~>"
        assert (done, rest) == (b"data: [DONE]", b"")


async def test_infill_is_answered_whole_or_as_one_event():
    async with served() as server:
        wanted = {"input_prefix": "a\n", "prompt": "x = ", "input_suffix": "\n", "stop": "\n"}
        status, answer = await asked(server, "/infill", wanted)
        assert (status, answer["content"], answer["tokens_predicted"]) == (200, "<x = |line|~>", 3)
        _, _, body = await ended(await begun(server, "/infill", wanted | {"stream": True}))
        assert json.loads(body.removeprefix(b"data: "))["stop"] is True


async def test_models_and_health_are_told():
    async with served() as server:
        await asked(server, "/v1/completions", BODY)
        _, models = await asked(server, "/v1/models", method="GET")
        assert models["data"][0]["id"] == "fake"
        assert await asked(server, "/health", method="GET") == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/v1/completions", "/infill", "/v1/models", "/health", "/gone"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer " + TOKEN[:-1]}, 401),
        ({"Authorization": "Basic " + TOKEN}, 401),
        ({"Authorization": f"Bearer {TOKEN}|Bearer {TOKEN}"}, 401),
        ({"Authorization": "Bearer \xe9"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:{port}|http://127.0.0.1:{port}"}, 403),
    ],
    ids=str,
)
async def test_who_lacks_the_key_or_comes_from_a_page_is_refused(path, headers, status):
    async with served() as server:
        headers = {name: value and value.format(port=server.port) for name, value in headers.items()}
        found, answer = await asked(server, path, BODY, **headers)
        assert (found, answer["error"]["code"]) == (status, status)
        assert TOKEN not in json.dumps(answer)


async def test_both_names_of_this_machine_do():
    async with served() as server:
        for name in ("127.0.0.1", "localhost"):
            status, _ = await asked(server, "/health", method="GET", Host=f"{name}:{server.port}")
            assert status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/completions"), ("POST", "/v1/models"), ("OPTIONS", "/infill"), ("POST", "/"), ("POST", "/infill/")],
)
async def test_what_is_not_offered_is_not_found(method, path):
    async with served() as server:
        assert (await asked(server, path, BODY, method=method))[0] == 404


@pytest.mark.parametrize("body", [b"", b"no json", b"\xff", b'{"prompt": 1}', b'{"prompt": "\\ud800", "suffix": ""}'])
async def test_a_wrong_body_is_one_line_and_the_next_request_is_answered(body):
    async with served() as server:
        status, answer = await asked(server, "/v1/completions", body)
        assert status == 400
        assert "\n" not in answer["error"]["message"]
        assert (await asked(server, "/v1/completions", BODY))[0] == 200


async def test_a_body_that_is_too_long_is_refused():
    async with served() as server:
        prompt = {"prompt": "x" * MOST_BODY_BYTES, "suffix": ""}
        assert (await asked(server, "/v1/completions", prompt))[0] == 413


async def test_the_newest_of_a_client_wins_and_others_stay():
    slow = {**BODY, "prompt": "slow"}
    async with served() as server:
        older = await begun(server, "/v1/completions", slow, User_Agent="one")
        other = await begun(server, "/v1/completions", {**BODY, "prompt": "slow other"}, User_Agent="two")
        await asyncio.sleep(1)
        status, answer = await asked(server, "/v1/completions", BODY, User_Agent="one")
        assert (status, answer["choices"][0]["text"]) == (200, "<x = |line|~>")
        assert (await ended(older))[0] == 409
        status, _, body = await ended(other)
        assert (status, json.loads(body)["choices"][0]["text"]) == (200, "<slow other|line|~>")


async def test_a_client_that_goes_away_frees_the_model(tmp_path, monkeypatch):
    fills = tmp_path / "fills"
    monkeypatch.setenv("UNMASK_TEST_FILLS", str(fills))
    # another name, another worker: that of an earlier test may still be there
    async with served("--name", "counted") as server:
        _, writer = await begun(server, "/v1/completions", {**BODY, "prompt": "slow"})
        await asyncio.sleep(1)
        writer.close()
        assert (await asked(server, "/v1/completions", BODY, User_Agent="two"))[0] == 200
    assert fills.read_text().splitlines() == ["False x = "]


async def test_who_reads_pieces_ahead_ends_no_fill():
    async with served() as server:
        older = await begun(server, "/infill", {"prompt": "slow", "input_suffix": "\n", "stop": "\n"})
        await asyncio.sleep(0.5)
        assert await asked(server, "/infill", {"n_predict": 0, "response_fields": [""]}) == (200, {})
        assert (await ended(older))[0] == 200


async def test_where_there_is_no_model_the_reason_is_told():
    async with served("--broken") as server:
        status, answer = await asked(server, "/v1/completions", BODY)
        assert (status, answer["error"]["message"]) == (503, "there is no model: weights.bin must be weights")
        assert (await asked(server, "/health", method="GET"))[0] == 503


async def test_while_the_model_loads_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(shapes, "Settings", lambda: Settings(deadline_ms=10.0))
    async with served("--slow-start", "--name", "slow", loaded=False) as server:
        for path, body in (("/infill", {"prompt": "x = "}), ("/v1/completions", BODY)):
            status, answer = await asked(server, path, body)
            assert (status, answer["error"]["message"]) == (503, "there is no model: it loads")
        status, answer = await asked(server, "/health", method="GET")
        assert (status, answer["error"]["message"]) == (503, "there is no model: it loads")


async def test_no_status_stands_for_the_name_of_the_model_that_loads():
    async with served("--slow-start", "--name", "slow", loaded=False) as server:
        for path, body in (("/infill", {"n_predict": 0}), ("/v1/completions", {"prompt": "", "suffix": "x = 1\n"})):
            status, answer = await asked(server, path, body)
            assert (status, answer["model"]) == (200, "unmask")
        _, models = await asked(server, "/v1/models", method="GET")
        assert [model["id"] for model in models["data"]] == ["unmask"]


async def test_a_worker_that_dies_is_told_and_started_again():
    async with served() as server:
        assert (await asked(server, "/v1/completions", {**BODY, "prompt": "crash"}))[0] == 503
        assert (await asked(server, "/infill", {"prompt": "x = ", "t_max_predict_ms": 60_000}))[0] == 200


async def test_a_model_that_is_not_sure_says_nothing_unless_any_answer_is_wanted():
    body = {**BODY, "prompt": "unsure"}
    for preset, text in (("balanced", ""), ("manual", "<unsure|line|~>")):
        async with served(preset=preset) as server:
            _, answer = await asked(server, "/v1/completions", body)
            assert answer["choices"][0]["text"] == text


async def test_a_port_that_is_taken_is_named():
    async with served() as server:
        another = HttpEndpoint(server._backend, TOKEN, "balanced")
        with pytest.raises(InvalidInput, match=f"--port must be free on this machine, got {server.port}"):
            await another.run(server.port, lambda: None)
