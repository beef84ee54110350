import sys
import threading
import time

import pytest
from fake_service import FakeService
from shared import FIM, GENEROUS, PATIENT, body, client_of

from coder_model.types import InvalidInput
from lsp_server.user_settings import Remote
from shared_server.engines import local_pool, own_worker
from shared_server.settings import EngineSettings, ServeSettings

LONG = "x = 1\n" * 3000


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def engine(service, kind, name="other"):
    return EngineSettings(name=name, remote=Remote(kind, url=service.url, model="m"))


def settings(*engines):
    return ServeSettings(limits=PATIENT, quota=GENEROUS, engines=engines)


def client(*engines):
    return client_of(settings(*engines), {one.name: local_pool(one) for one in engines})


@pytest.mark.parametrize(("kind", "path"), [("llama.cpp", "/infill"), ("openai", "/v1/completions")])
async def test_another_engine_answers_behind_the_same_gateway(kind, path):
    async with FakeService("a + b") as service, client(engine(service, kind)) as gate:
        response = await gate.post(FIM, json=body("def f(a, b):\n    return ", suffix="\n", stop="\n"))
        assert response.json()["choices"][0]["text"] == "a + b"
        assert service.requests[0][0] == path
        sent = service.bodies[0]
        assert sent.get("input_prefix", sent.get("prompt")).endswith("return ")


@pytest.mark.parametrize(
    ("kind", "field", "beside"),
    [
        ("llama.cpp", "n_predict", {"tokens_predicted": 7, "tokens_evaluated": 40, "stop_type": "limit"}),
        (
            "openai",
            "max_tokens",
            {
                "usage": {"prompt_tokens": 40, "completion_tokens": 7},
                "choices": [{"text": "a +", "finish_reason": "length"}],
            },
        ),
    ],
)
async def test_another_engine_is_told_the_most_tokens_and_its_count_is_handed_on(kind, field, beside):
    async with FakeService("a +") as service, client(engine(service, kind)) as gate:
        service.beside = beside
        for asked, sent in ((7, 7), (4000, 128), (None, 128)):
            said = (await gate.post(FIM, json=body("return ", max_tokens=asked))).json()
            assert service.bodies[-1][field] == sent
            assert said["usage"] == {"prompt_tokens": 40, "completion_tokens": 7, "total_tokens": 47}
            assert (said["choices"][0]["text"], said["choices"][0]["finish_reason"]) == ("a +", "length")


async def test_the_model_of_a_request_chooses_the_engine():
    async with (
        FakeService("one") as a,
        FakeService("two") as b,
        client(engine(a, "openai", "a"), engine(b, "llama.cpp", "b")) as gate,
    ):
        for name, text in (("a", "one"), ("b", "two"), ("", "one")):
            response = await gate.post(FIM, json=body(model=name))
            assert response.json()["choices"][0]["text"] == text
            assert response.json()["model"] == (name or "a")
        assert [one["id"] for one in (await gate.get("/v1/models")).json()["data"]] == ["a", "b"]


async def test_a_text_that_is_too_long_for_one_is_no_fault_of_the_engine():
    async with FakeService("fine") as service, client(engine(service, "openai")) as gate:
        service.faults = [400, 400]
        assert (await gate.post(FIM, json=body(LONG))).status_code == 503
        assert (await gate.post(FIM, json=body())).json()["choices"][0]["text"] == "fine"
        assert (await gate.get("/healthz")).status_code == 200


async def test_an_engine_that_fails_is_tried_again_and_left_alone_then():
    async with FakeService("fine") as service, client(engine(service, "openai")) as gate:
        service.faults = [503]
        assert (await gate.post(FIM, json=body())).status_code == 200
        service.faults = [503] * 4
        refused = await gate.post(FIM, json=body())
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert (await gate.get("/healthz")).status_code == 503


async def test_somebody_with_little_time_has_no_engine_left_alone():
    async with FakeService("fine") as service:
        one = engine(service, "openai")
        short = ServeSettings(quota=GENEROUS, engines=(one,), limits=PATIENT)
        async with client_of(short, {"other": local_pool(one)}) as gate:
            service.faults = ["slow"]

            moment = {"x-deadline-ms": str(int(time.time() * 1000) + 100)}
            assert (await gate.post(FIM, json=body(), headers=moment)).status_code == 504
            assert (await gate.post(FIM, json=body())).status_code == 200


async def test_an_engine_that_is_not_there_is_a_503():
    one = EngineSettings(remote=Remote("openai", url="http://127.0.0.1:9", model="m"))
    async with client(one) as gate:
        response = await gate.post(FIM, json=body())
        assert response.status_code == 503
        assert "127.0.0.1" not in response.text


def test_an_address_elsewhere_must_be_https():
    with pytest.raises(InvalidInput, match="remote.url must be HTTPS"):
        local_pool(EngineSettings(remote=Remote("openai", url="http://example.org")))


def test_a_worker_is_of_one_replica_and_does_not_rest():
    a, b = (own_worker(EngineSettings(sessions=9), name)._command for name in ("r0", "r1"))
    assert a[0] == sys.executable
    assert a != b
    assert '"sessions":9' in a[a.index("--options") + 1]
    assert a[a.index("--replica") + 1] == "r0"
    # a year without a request, and as long as a wait can be
    assert 365 * 86_400 < float(a[a.index("--idle-seconds") + 1]) < threading.TIMEOUT_MAX


async def test_a_model_that_is_not_there_is_a_503_and_said_to_the_operator(tmp_path, caplog):
    one = EngineSettings(model=str(tmp_path / "no.gguf"))
    async with client(one) as gate:
        response = await gate.post(FIM, json=body())
        assert response.status_code == 503
        assert str(tmp_path) not in response.text
    assert "no.gguf" in caplog.text


async def test_the_embedded_model_answers():
    async with client(EngineSettings()) as gate:
        response = await gate.post(FIM, json=body("def add(a, b):\n    return a + ", suffix="\n", stop="\n"))
        assert response.status_code == 200
        assert isinstance(response.json()["choices"][0]["text"], str)
        assert response.headers["x-unmask-model"]
