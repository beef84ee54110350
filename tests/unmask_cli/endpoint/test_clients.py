"""What editors send, field by field as their sources have it, and what they read of the answer.

Sources: zed `crates/edit_prediction/src/{fim,open_ai_compatible}.rs`, llama.vim `autoload/llama.vim`, continue
`core/llm/llms/OpenAI.ts` with `core/autocomplete/templating/AutocompleteTemplate.ts`, minuet-ai.nvim
`lua/minuet/backends/openai_base.lua`.
"""

import json
import re
from pathlib import Path

import pytest
from http_endpoint import TOKEN, begun, ended, served

USAGE = Path(__file__).parents[3] / "docs" / "usage.md"
QWEN = "<|fim_prefix|>import os\nx = <|fim_suffix|>\ny = 1\n<|fim_middle|>"
ZED = {
    "model": "qwen2.5-coder",
    "prompt": QWEN,
    "max_tokens": 64,
    "stop": ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"],
}
CONTINUE = {
    "model": "qwen2.5-coder",
    "max_tokens": 4096,
    "temperature": 0.01,
    "stream": True,
    "stop": [
        *("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>"),
        *("<|file_sep|>", "<|im_start|>", "<|im_end|>", "/src/", "#- coding: utf-8", "```"),
    ],
    "prompt": QWEN,
}
MINUET = {
    "model": "unmask",
    "stream": True,
    "max_tokens": 56,
    "top_p": 0.9,
    "prompt": "import os\nx = ",
    "suffix": "\ny = 1\n",
}
LLAMA_VIM = {
    "input_prefix": "import os\n",
    "input_suffix": "\ny = 1\n",
    "input_extra": [{"text": "import sys\n", "time": [10, 20], "filename": "b.py"}],
    "prompt": "x = ",
    "n_predict": 256,
    "n_indent": 0,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1500,
    "response_fields": [
        *("content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms"),
        *("timings/prompt_per_second", "timings/predicted_n", "timings/predicted_ms"),
        *("timings/predicted_per_token_ms", "timings/predicted_per_second", "truncated", "tokens_cached"),
    ],
}


def of_zed(body):
    """Every field that its type has must be there."""
    answer = json.loads(body)
    assert isinstance(answer["id"] + answer["object"] + answer["model"], str)
    assert isinstance(answer["created"], int)
    assert all(isinstance(answer["usage"][f"{name}_tokens"], int) for name in ("prompt", "completion", "total"))
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    return choice["text"]


def of_events(body):
    """The texts of all events, up to the one that says it is over."""
    events = [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    return "".join(json.loads(event)["choices"][0]["text"] for event in events)


def of_llama_vim(body):
    answer = json.loads(body)
    assert set(answer) == set(LLAMA_VIM["response_fields"])
    return answer["content"]


CLIENTS = {
    "Zed": ("/v1/completions", ZED, {}, of_zed),
    "Continue": ("/v1/completions", CONTINUE, {"api_key": TOKEN}, of_events),
    "minuet-ai.nvim": ("/v1/completions", MINUET, {"Accept": "application/json"}, of_events),
    "llama.vim": ("/infill", LLAMA_VIM, {}, of_llama_vim),
}


@pytest.mark.parametrize("client", CLIENTS)
async def test_what_a_client_sends_is_answered_as_it_reads_it(client):
    path, body, headers, text_of = CLIENTS[client]
    async with served() as server:
        status, _, answer = await ended(await begun(server, path, body, **headers))
    assert status == 200
    assert text_of(answer) == "<x = |line|~y = >"


@pytest.mark.parametrize("client", CLIENTS)
def test_the_recipe_of_each_client_names_the_path_that_it_asks(client):
    recipes = USAGE.read_text("utf-8").partition("## Editors that speak HTTP")[2].partition("\n## ")[0]
    recipe = re.search(rf"\*\*{re.escape(client)}\*\*.*?```(.*?)```", recipes, re.DOTALL)
    path = CLIENTS[client][0]
    address = "http://127.0.0.1:8012"
    # Continue adds the last part itself
    assert address + path in recipe.group(1) or (client == "Continue" and f"{address}/v1" in recipe.group(1))
