"""llama.cpp in this process, where its wheel is installed: `pip install xllamacpp` (34 MB)."""

import json

import pytest


def server(path):
    """What llama.cpp says after a prompt, greedily: a function from token ids and a count to (token, log-probability).

    A token that is no whole character in UTF-8 is left out of what it says.
    """
    xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp, llama.cpp in a wheel of 34 MB, is not installed")
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.n_ctx, parameters.n_parallel = str(path), 1024, 1
    parameters.cpuparams.n_threads, parameters.warmup, parameters.verbosity = 1, False, 0
    made = xllamacpp.Server(parameters)

    def greedy(prompt, count):
        asked = {"prompt": prompt, "n_predict": count, "temperature": 0, "n_probs": 1, "cache_prompt": False}
        answer = made.handle_completions(asked)
        answer = json.loads(answer) if isinstance(answer, str) else answer
        said = answer["choices"][0].get("logprobs") or {"content": []}
        return [(token["id"], token["logprob"]) for token in said["content"]]

    return greedy
