import json

import pytest

from coder_model.types import InvalidInput
from unmask_cli.endpoint.shapes import Asked, read_completion, read_infill


def completion(**body):
    return read_completion(json.dumps({"prompt": "x = ", **body}).encode())


def infill(**body):
    return read_infill(json.dumps(body).encode())


def test_a_line_end_among_the_stops_asks_for_one_line():
    body = "def f():\n    "
    assert completion(prompt=body, suffix="", path="a.py").request("s", "manual").hole == "block"
    assert completion(prompt=body, suffix="", path="a.py", stop="\n").request("s", "manual").hole == "line"


def test_a_suffix_keeps_marks_in_a_prompt_what_they_are():
    prompt = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert completion(prompt=prompt, suffix="").text.prefix == prompt
    assert completion(prompt=prompt).text.prefix == "a"


def test_what_follows_the_prefix_of_infill_is_its_prompt():
    request = infill(input_prefix="import os\r\n", prompt="x = ", input_suffix="\n", t_max_predict_ms=700).request(
        "s", "manual"
    )
    assert (request.prefix, request.suffix, request.deadline_ms) == ("import os\nx = ", "\n", 700)


@pytest.mark.parametrize(("preset", "least"), [("eager", 0.4), ("balanced", 0.6), ("quiet", 0.8), ("manual", 0.0)])
def test_the_preset_says_how_sure_the_model_must_be(preset, least):
    assert completion(suffix="").request("s", preset).least_right == least


@pytest.mark.parametrize(("suffix", "preset"), [("yz", "manual"), (" + y", "quiet")])
def test_where_nothing_is_offered_in_an_editor_nothing_is_asked(suffix, preset):
    assert completion(suffix=suffix).request("s", preset) is None


def test_pieces_of_other_files_are_shown_without_secrets_and_those_with_a_secrets_name_are_not():
    extra = [
        {"filename": "a.py", "text": "password = 'hunter2-x9'\n", "time": [1, 2]},
        {"filename": "/home/me/.env", "text": "KEY=1"},
    ]
    (snippet,) = infill(prompt="x = ", input_extra=extra).request("s", "manual").snippets
    assert snippet.path == "a.py"
    assert "hunter2" not in snippet.text


@pytest.mark.parametrize("name", [".env", "/home/me/.ssh/id_rsa", "deploy/secrets.yaml"])
def test_a_file_that_no_model_may_see_is_refused(name):
    with pytest.raises(InvalidInput, match="path must be that of a file that a model may see"):
        completion(suffix="", path=name).request("s", "manual")
    prompt = f"<|file_sep|>{name}\n<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    with pytest.raises(InvalidInput, match="path must be"):
        completion(prompt=prompt).request("s", "manual")


@pytest.mark.parametrize(
    ("read", "body", "named"),
    [
        (read_completion, b"", "the body must be"),
        (read_completion, b"[]", "the body must be"),
        (read_completion, b'{"suffix": "a secret"}', "prompt"),
        (read_completion, b'{"prompt": ["a secret"]}', "prompt"),
        (read_completion, b'{"prompt": "\xff"}', "the body must be"),
        (read_infill, b'{"input_extra": [{"filename": "a secret"}]}', "text"),
        (read_infill, b'{"input_prefix": 7}', "input_prefix"),
        (read_infill, b"[" * 100_000, "the body must be"),
    ],
)
def test_what_is_wrong_with_a_body_is_named_and_quotes_nothing(read, body, named):
    with pytest.raises(InvalidInput) as error:
        read(body)
    assert named in str(error.value)
    assert "secret" not in str(error.value)


def test_nobody_who_reads_ahead_is_filled_for():
    assert infill(n_predict=0, response_fields=[""]).request("s", "manual") is None
    assert Asked(infill().text).request("s", "manual") is not None
