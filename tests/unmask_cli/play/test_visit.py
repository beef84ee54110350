import asyncio
import json
import os
import signal
from dataclasses import replace

import pytest
from play_page import page_of, served
from websockets.asyncio.client import connect

from coder_model.types import InvalidInput
from lsp_server.usage_stats import KEPT_BACK, UsageStats
from unmask_cli.play.messages import AskFill
from unmask_cli.play.visit import Opened, Visit


async def test_a_fill_comes_step_by_step_with_its_masks():
    async with served() as server, page_of(server) as page:
        await page.until("status", lambda message: message["state"] == "ready")
        await page.fill("x = ")
        steps = await page.answer()
        assert [step["draft"]["kind"] for step in steps] == ["denoise", "denoise", "final"]
        assert steps[0]["draft"]["slots"] == [["<", 0.9], [None, 0.5]]
        assert steps[-1]["draft"]["text"] == "<x = |line|>"
        assert steps[-1]["hole"] == "line"


async def test_what_was_opened_and_what_can_be_chosen_is_said_first():
    async with served(Opened("b.py", "import os\n")) as server, page_of(server) as page:
        greeting, status = (await page.until("status"))[:2]
        assert (greeting["file"], greeting["text"]) == ("b.py", "import os\n")
        assert [model["name"] for model in greeting["models"]] == ["fake", "other", "broken"]
        assert "one_token" in greeting["policies"]
        assert (status["type"], status["model"]) == ("status", "fake")


async def test_the_status_says_which_controls_count():
    async with served() as server, page_of(server) as page:
        *_, status = await page.until("status", lambda message: message["state"] == "ready")
        assert status["controls"] == ["policy", "threshold"]


async def test_the_same_hole_is_filled_one_token_at_a_time_behind_the_first():
    async with served() as server, page_of(server) as page:
        await page.fill("x = ", compare=True)
        await page.answer(lane="own")
        compared = await page.answer(lane="compared")
        assert {step["lane"] for step in compared} == {"compared"}
        assert compared[-1]["draft"]["text"] == "<x = |line|>"


def test_what_is_compared_begins_alike_and_differs_in_its_decoding_alone():
    visit = Visit("play 7", None, Opened(), None)
    (_, alone), (_, again) = (next(visit._requests(AskFill(number, "x = ", ""))) for number in (1, 2))
    assert alone == again
    (_, own), (_, compared) = visit._requests(AskFill(3, "x = ", "", compare=True))
    assert len({alone.session, own.session, compared.session}) == 3
    assert (own.decoding.policy, compared.decoding.policy) == ("threshold", "one_token")
    assert replace(own, session="", decoding=None) == replace(compared, session="", decoding=None)


async def test_a_changed_text_ends_the_running_fill():
    async with served() as server, page_of(server) as page:
        await page.fill("slow", number=1)
        await page.until("step")
        await page.fill("x = ", number=2)
        stopped = (await page.until("stopped"))[-1]
        assert (stopped["id"], stopped["reason"]) == (1, "")
        # 200 steps of a slow one would come before it
        assert {step["id"] for step in await page.answer(2)} == {2}
        await page.fill("slow", number=3)
        await page.until("step")
        await page.say(type="stop")
        assert (await page.until("stopped"))[-1]["id"] == 3


async def test_two_pages_do_not_mix():
    async with served() as server, page_of(server) as one, page_of(server) as other:
        await one.fill("slow one", number=7)
        await one.until("step")
        await other.fill("y = ", number=7)
        answers = await asyncio.gather(one.answer(7), other.answer(7))
        assert [steps[-1]["draft"]["text"] for steps in answers] == ["<slow one|line|>", "<y = |line|>"]


async def test_a_worker_that_dies_is_said_and_the_next_fill_is_answered():
    async with served() as server, page_of(server) as page:
        await page.until("status", lambda message: message["state"] == "ready")
        await page.fill("crash", number=1)
        heard = await page.until("stopped")
        assert heard[-1]["reason"] == "the worker went away"
        await page.fill("x = ", number=2)
        assert (await page.answer(2))[-1]["draft"]["text"] == "<x = |line|>"


async def test_a_worker_killed_between_fills_is_started_again():
    async with served() as server, page_of(server) as page:
        await page.fill("x = ", number=1)
        await page.answer(1)
        os.killpg(server._shelf.made[-1]._process_id, signal.SIGKILL)
        await page.until("status", lambda message: message["state"] == "starting")
        await page.until("status", lambda message: message["state"] == "ready")
        await page.fill("y = ", number=2)
        assert (await page.answer(2))[-1]["draft"]["final"]


async def test_another_model_is_taken_and_a_broken_one_says_why():
    async with served() as server, page_of(server) as page:
        await page.say(type="take", model="other")
        await page.until("status", lambda message: message["state"] == "ready" and message["model"] == "other")
        await page.say(type="take", model="broken")
        status = (await page.until("status", lambda message: message["state"] == "down"))[-1]
        assert status["reason"] == "weights.bin must be weights"
        await page.fill("x = ", number=1)
        assert (await page.until("stopped"))[-1]["reason"] == "weights.bin must be weights"
        await page.say(type="take", model="fake")
        await page.fill("x = ", number=2)
        await page.answer(2)


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[]",
        '{"type": "fill"}',
        '{"type": "open", "path": "/etc/passwd"}',
        '{"type": "take", "model": "/etc"}',
        '{"type": "fill", "id": 1, "prefix": "", "suffix": "", "controls": {"threshold": 2}}',
        '{"type": "fill", "id": 1, "prefix": "", "suffix": "", "controls": {"max_steps": 1000000}}',
        '{"type": "fill", "id": 1, "prefix": "\\ud800", "suffix": ""}',
        b"bytes",
    ],
)
async def test_what_is_no_message_is_refused_in_one_line_and_nothing_ends(message):
    async with served() as server, page_of(server) as page:
        await page.socket.send(message)
        (refused,) = [m for m in await page.until("refused") if m["type"] == "refused"]
        assert refused["reason"]
        assert "\n" not in refused["reason"]
        await page.fill("x = ", number=2)
        await page.answer(2)


async def test_a_page_that_goes_lets_go_of_its_worker_connection():
    async with served() as server:
        async with page_of(server) as page:
            await page.fill("slow")
            await page.until("step")
        (backend,) = server._shelf.made
        async with asyncio.timeout(10):
            while not backend._keeper.done():
                await asyncio.sleep(0.01)
        assert not backend._answers


async def test_the_figures_are_those_of_the_user_and_hold_no_text(monkeypatch, tmp_path):
    monkeypatch.setattr("unmask_cli.play.figures.default_folder", lambda: tmp_path)
    stats = UsageStats(tmp_path)
    stats.counts.update({"requests": 3, "shown": 2, "accepted": 1, "filter:harm": 1})
    stats.took(80)
    stats.save()
    async with served() as server, page_of(server) as page:
        await page.say(type="statistics")
        figures = (await page.until("statistics"))[-1]["figures"]
        assert figures["total"]["counts"] == {"requests": 3, "shown": 2, "accepted": 1}
        assert figures["total"]["filters"] == {KEPT_BACK["harm"]: 1}
        assert [model["name"] for model in figures["models"]] == ["fake", "other", "broken"]


def test_a_file_that_no_model_may_see_is_not_opened(tmp_path):
    (tmp_path / ".env").write_text("KEY=1\n")
    with pytest.raises(InvalidInput, match="must be a file that a model may see"):
        Opened.of(tmp_path / ".env")
    assert Opened.of(None) == Opened("", "")


async def test_a_message_in_many_pieces_counts_as_one():
    async with (
        served() as server,
        connect(
            f"ws://127.0.0.1:{server.port}/socket",
            origin=f"http://127.0.0.1:{server.port}",
            subprotocols=["unmask", server.token],
            proxy=None,
        ) as socket,
    ):
        text = json.dumps({"type": "fill", "id": 1, "prefix": "x = ", "suffix": ""})
        await socket.send([text[:9], text[9:30], text[30:]])
        async with asyncio.timeout(60):
            while json.loads(await socket.recv())["type"] != "step":
                pass
