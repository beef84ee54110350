"""Who is asked for the line at a cursor: our engine as the worker asks it, and llama.cpp's server in two ways."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llama_server import LlamaServer

from coder_model.text.fill_region import FillRegion
from coder_model.types import FillRequest

if TYPE_CHECKING:
    from coder_model.engine.engine import Engine

WANTED = {"n_predict": 64, "temperature": 0, "stop": ["\n"]}
"""A line, greedily."""


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody said at a cursor."""

    text: str
    ms: float
    read: int
    """Tokens of the prompt that had to be read."""
    read_ms: float
    """Until there was a first token."""
    said: int
    """Tokens."""
    passes: int
    said_ms: float


Ask = Callable[[FillRequest, bool], Line]
"""From a request, and whether what was read before may be used, to the line."""


def ours(engine: Engine) -> Ask:
    """Asks the engine as the worker does; a cold request is that of a document never seen."""
    numbers = itertools.count()

    def ask(request: FillRequest, warm: bool) -> Line:
        if not warm:
            request = replace(request, session=f"{next(numbers)}")
        began = time.perf_counter()
        drafts = list(engine.fill(request))
        ms = (time.perf_counter() - began) * 1000
        n_read = len(engine.prompt(request, FillRegion.of(request)).context)
        first, last = drafts[0], drafts[-1]
        return Line(last.text, ms, n_read, first.elapsed_ms, last.tokens, last.steps, ms - first.elapsed_ms)

    return ask


def theirs(server: LlamaServer, engine: Engine) -> Ask:
    """Asks llama.cpp with the tokens that the engine gives its model; what we heal is text to it."""

    def ask(request: FillRequest, warm: bool) -> Line:
        prompt = engine.prompt(request, FillRegion.of(request))
        body = {"prompt": [*prompt.context, prompt.heal.decode()], "cache_prompt": warm}
        return _line(*server.ask("/completion", body | WANTED))

    return ask


def infill(server: LlamaServer) -> Ask:
    """Asks llama.cpp as llama.vim does."""

    def ask(request: FillRequest, warm: bool) -> Line:
        above, _, line = request.prefix.rpartition("\n")
        body = {"input_prefix": f"{above}\n", "input_suffix": request.suffix, "prompt": line, "cache_prompt": warm}
        return _line(*server.ask("/infill", body | WANTED))

    return ask


def _line(answer: Mapping[str, Any], ms: float) -> Line:
    """A line of an answer of llama.cpp's server, whose time is that of the whole request."""
    times = answer["timings"]
    read = times["prompt_n"], times["prompt_ms"]
    passes = times["predicted_n"] - times.get("draft_n_accepted", 0)
    return Line(answer["content"], ms, *read, times["predicted_n"], passes, times["predicted_ms"])
