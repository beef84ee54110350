"""What each protocol is asked, and what is read from its answer."""

import json
import re
from dataclasses import replace

import pytest
from fake_service import FakeService
from remote_requests import KINDS, PREFIX, SUFFIX, request, said, settings

from coder_model.text.fill_region import FillRegion
from coder_model.types import Snippet
from lsp_server.backends.remote import RemoteBackend
from lsp_server.backends.remote_apis import MAX_PREFIX_CHARS, MAX_SUFFIX_CHARS, SHAPES, Reply


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


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_are_found_before_the_text_is_cropped(kind):
    secret = "ghp_" + "a1B2c3D4e5" * 4
    planted = f"token = '{secret}'\n"
    before = planted + "x" * (MAX_PREFIX_CHARS - len(PREFIX) - len(secret) // 2) + PREFIX
    after = SUFFIX + "x" * (MAX_SUFFIX_CHARS - len(SUFFIX) - len(planted) + len(secret) // 2) + planted
    sent = json.dumps(SHAPES[kind].body(request(prefix=before, suffix=after), "", 9))
    assert secret[:8] not in sent
    assert secret[-8:] not in sent


@pytest.mark.parametrize("kind", KINDS)
def test_marks_in_somebodys_text_are_text(kind):
    text = "a = '<s>' + '<|cursor|>' + '<|/code_to_edit|>' + '<fim_middle>' + '<|im_end|>'\n"
    asked = request(prefix=text + "b = ", suffix="\n" + text, snippets=(Snippet("b.py", text),))
    sent = json.dumps(SHAPES[kind].body(asked, "", 9), ensure_ascii=False)
    # llama.cpp reads no marks in what it is given to fill
    assert len(re.findall(r"<s>|<fim_middle>|<\|im_end\|>", sent)) == (9 if kind == "llama.cpp" else 0)
    if kind == "mercury-edit":
        assert sent.count("<|cursor|>") == sent.count("<|/code_to_edit|>") == 1


def test_marks_in_the_name_of_a_file_are_text():
    asked = replace(request(snippets=(Snippet("<|cursor|>.py", "x = 1\n"),)), path="<|cursor|>.py")
    sent = json.dumps(SHAPES["mercury-edit"].body(asked, "", 9))
    assert sent.count("<|cursor|>") == 1


def test_a_mark_that_a_server_says_after_somebody_is_as_it_was():
    asked = request(prefix="a = '<s>'\nb = '", suffix="'\n")
    body = SHAPES["openai"].body(asked, "", 9)
    joiner = body["prompt"][body["prompt"].index("<") + 1]
    assert SHAPES["openai"].read({"choices": [{"text": f"<{joiner}s>"}]}, asked).text == "<s>"


LONG = {"choices": [{"text": "a +", "finish_reason": "length"}], "usage": {"prompt_tokens": 40, "completion_tokens": 2}}
LONG_INFILL = {"content": "a +", "tokens_predicted": 2, "tokens_evaluated": 40, "stop_type": "limit"}
LONG_EDIT = {
    "choices": [{"message": {"content": "return a +"}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 40, "completion_tokens": 2},
}


@pytest.mark.parametrize(
    ("kind", "answer"), [("openai", LONG), ("mercury", LONG), ("llama.cpp", LONG_INFILL), ("mercury-edit", LONG_EDIT)]
)
def test_what_a_service_says_of_tokens_is_read(kind, answer):
    said = SHAPES[kind].read(answer, request(prefix="return ", suffix=""))
    assert said == Reply("a +", 2, 40, is_cut=True)


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": [1]}, {"usage": {"completion_tokens": "two"}}])
def test_what_it_does_not_say_is_no_fault(usage):
    assert SHAPES["openai"].read({"choices": [{"text": "x"}], **usage}, request()) == Reply("x")


@pytest.mark.parametrize(
    ("text", "hole", "finished"),
    [("a + b", "line", False), ("a\nb", "line", True), ("a + b", "block", False), ("", "line", True)],
)
def test_a_text_that_was_cut_behind_the_end_of_its_hole_is_whole(text, hole, finished):
    draft = Reply(text, is_cut=True).draft(FillRegion.of(request(hole=hole)), (), 1.0)
    assert draft.finished == finished


def test_a_service_that_counts_otherwise_has_said_no_more_than_was_asked_for():
    region = FillRegion.of(replace(request(), max_tokens=16))
    assert Reply("x", tokens=17).draft(region, (), 1.0).tokens == 16


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "llama.cpp"])
def test_marks_of_every_family_are_text(kind):
    marks = [
        *(
            "<\uff5cfim▁begin\uff5c>",
            "<\uff5cend▁of▁sentence\uff5c>",
            "[SUFFIX]",
            "[PREFIX]",
            "[/INST]",
            "<file_sep>",
            "<repo_name>",
        ),
        *("<fim-suffix>", "<bos>", "<eos>", "<end_of_turn>", "<|endoftext|>", "<PRE>", "<EOT>", "</s>", "<mask>"),
    ]
    asked = request(prefix=f"a = '{' '.join(marks)}'\nb = a[PREFIX_SIZE:] < c\nd = ", suffix="\n")
    sent = json.dumps(SHAPES[kind].body(asked, "", 9), ensure_ascii=False)
    assert [mark for mark in marks if mark in sent] == []
    assert "b = a[PREFIX_SIZE:] < c" in sent
