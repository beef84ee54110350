import asyncio
import time

import pytest
from shared import FakeBackend, gateway_of

from coder_model.types import Cancelled, FillRequest
from lsp_server.backends.base import BackendUnavailable
from shared_server.gateway import Ask
from shared_server.levels import Priority
from shared_server.problems import Problem
from shared_server.settings import Limits, Quota
from shared_server.tokens import Caller

ANN, EVE = Caller("red", "ann"), Caller("blue", "eve")


def ask(line="x", session="s", caller=ANN, priority=Priority.TYPING, seconds=5.0, show=None, max_tokens=None):
    request = FillRequest(session, line, "", hole="block", max_tokens=max_tokens)
    return Ask(caller, "unmask", request, priority, time.monotonic() + seconds, show)


async def problem_of(gateway, asked):
    with pytest.raises(Problem) as found:
        await gateway.answer(asked)
    return found.value


def is_idle(gateway):
    admission = gateway.engines["unmask"].admission
    return admission.running == admission.waiting == 0 and not gateway._newest


async def test_an_answer_says_what_it_took():
    gateway = gateway_of(FakeBackend())
    answer = await gateway.answer(ask())
    assert (answer.draft.text, answer.level, answer.is_cut) == ("<x>", 0, False)
    assert answer.tried == ("r0",)
    assert is_idle(gateway)


async def test_a_deadline_ends_the_request_and_the_work():
    backend = FakeBackend()
    gateway = gateway_of(backend)
    assert (await problem_of(gateway, ask("hang", seconds=0.05))).status == 504
    await asyncio.sleep(0)
    assert backend.stopped == 1
    assert backend.now == 0
    assert is_idle(gateway)


async def test_the_engine_is_told_the_deadline_too():
    backend = FakeBackend()
    await gateway_of(backend).answer(ask(seconds=2))
    assert 1500 < backend.requests[0].deadline_ms < 1985


async def test_a_deadline_that_passes_while_it_waits_is_none_for_the_engine():
    backend = FakeBackend(seconds=0.2)
    gateway = gateway_of(backend)
    first = asyncio.create_task(gateway.answer(ask(session="a")))
    await asyncio.sleep(0.01)
    assert (await problem_of(gateway, ask(session="b", seconds=0.05))).status == 504
    await first
    assert len(backend.requests) == 1


async def test_the_newest_request_of_a_session_wins():
    backend = FakeBackend()
    gateway = gateway_of(backend)
    older = asyncio.create_task(gateway.answer(ask("hang")))
    await asyncio.sleep(0.01)
    assert (await gateway.answer(ask("new"))).draft.text == "<new>"
    with pytest.raises(Problem) as found:
        await older
    assert found.value.status == 409
    assert backend.stopped == 1
    assert is_idle(gateway)


async def test_a_newer_request_takes_the_place_of_one_at_the_limit():
    gateway = gateway_of(FakeBackend(), quota=Quota(in_flight_per_user=1))
    older = asyncio.create_task(gateway.answer(ask("hang")))
    await asyncio.sleep(0.01)
    assert (await problem_of(gateway, ask(session="other"))).status == 429
    assert (await gateway.answer(ask("new"))).draft.text == "<new>"
    with pytest.raises(Problem):
        await older


async def test_whoever_hangs_up_frees_all_it_has_taken():
    backend = FakeBackend()
    gateway = gateway_of(backend)
    task = asyncio.create_task(gateway.answer(ask("hang")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert backend.stopped == 1
    assert is_idle(gateway)


async def test_another_replica_is_asked_once_when_one_fails():
    backends = FakeBackend(), FakeBackend()
    gateway = gateway_of(*backends)
    for session in "abcdef":
        for backend in backends:
            backend.faults.clear()
        first = gateway.engines["unmask"].pool._ring.order(session)[0]
        backends[int(first[1])].faults = [BackendUnavailable("the worker went away")]
        answer = await gateway.answer(ask(session=session))
        assert answer.draft.text == "<x>"
        assert answer.tried[0] == first
        assert len(set(answer.tried)) == 2


async def test_when_both_fail_the_reason_stays_here():
    backends = FakeBackend(), FakeBackend()
    for backend in backends:
        backend.faults = [BackendUnavailable("/secret/path must be a file")]
    gateway = gateway_of(*backends)
    problem = await problem_of(gateway, ask())
    assert problem.status == 503
    assert problem.retry_after_s
    assert "secret" not in problem.reason
    assert is_idle(gateway)


async def test_what_an_engine_drops_has_been_superseded_elsewhere():
    backend = FakeBackend()
    backend.faults = [Cancelled()]
    assert (await problem_of(gateway_of(backend), ask())).status == 409


async def test_tenfold_overload_is_answered_or_refused_and_ends():
    backend = FakeBackend(seconds=0.01)
    gateway = gateway_of(backend, limits=Limits(waiting_per_slot=4))
    asked = [gateway.answer(ask(session=f"s{i}", seconds=0.5)) for i in range(100)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    statuses = [result.status if isinstance(result, Problem) else 200 for result in results]
    assert set(statuses) <= {200, 503, 504}
    assert statuses.count(200) >= 5
    assert backend.most == 1
    assert is_idle(gateway)
    assert (await gateway.answer(ask())).level == 0


async def test_under_load_less_is_asked_of_the_engine():
    backend = FakeBackend(seconds=0.02)
    gateway = gateway_of(backend)
    asked = [ask(session=f"s{i}") for i in range(5)]
    answers = await asyncio.gather(*map(gateway.answer, asked))
    assert max(answer.level for answer in answers) == 3
    holes = {request.session: request.hole for request in backend.requests}
    assert holes["s0"] == "block"
    assert "line" in holes.values()


async def test_one_tenant_at_a_hundred_times_leaves_others_their_turn():
    backend = FakeBackend(seconds=0.005)
    gateway = gateway_of(backend)
    flood = [asyncio.create_task(gateway.answer(ask(session=f"f{i}"))) for i in range(100)]
    await asyncio.sleep(0)
    waits = []
    for i in range(10):
        waits.append((await gateway.answer(ask(session=f"e{i}", caller=EVE))).waited_ms)
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert all(
        isinstance(result, Problem) and result.status == 503 for result in results if not hasattr(result, "draft")
    )
    # behind what runs, never behind all that waits
    assert sorted(waits)[5] < 100


async def test_most_tokens_cut_the_answer():
    gateway = gateway_of(FakeBackend())
    answer = await gateway.answer(ask(max_tokens=2))
    assert (answer.draft.text, answer.is_cut, answer.draft.final) == ("ab", True, True)
    assert (await gateway.answer(ask(max_tokens=3))).draft.text == "<x>"


async def test_drafts_are_shown_to_who_wants_them():
    seen = []

    async def show(draft):
        seen.append(draft.text)

    await gateway_of(FakeBackend()).answer(ask(show=show))
    assert seen == ["a", "ab"]
