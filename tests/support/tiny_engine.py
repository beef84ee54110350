"""An engine on a tiny model, and its last word to a request."""

from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.types import FillRequest

DOCUMENT = "def total(items):\n    value = 0\n    for item in items:\n        value += item\n    return value\n\n\n"
PREFIXES = [
    DOCUMENT + "def total(it",
    DOCUMENT + "def count(items):\n    ",
    DOCUMENT + "x = total(",
    "",
    "\n",
    "é = '漢😀",
]


def engine(model, tokenizer, **options):
    return Engine(model, tokenizer, "tiny", EngineOptions(**{"precision": "float32", **options}))


def last(made, prefix, suffix="\n", **more):
    *_, draft = made.fill(FillRequest("s", prefix, suffix, path="a.py", **more))
    return draft
