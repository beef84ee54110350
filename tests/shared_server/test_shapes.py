import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import FillRequest, Snippet
from lsp_server.backends.remote_apis import SHAPES
from shared_server.problems import Problem
from shared_server.shapes import EditBody, FimBody, InfillBody, read_edit, read_fim, read_infill

READERS = {
    "/v1/fim/completions": read_fim,
    "/v1/completions": read_fim,
    "/v1/edit/completions": read_edit,
    "/infill": read_infill,
}
SMALLEST = {
    read_fim: {"prompt": "x"},
    read_edit: {
        "messages": [
            {
                "role": "user",
                "content": "<|current_file_content|>\na\n<|code_to_edit|>\nb<|cursor|>c\n<|/code_to_edit|>\n"
                "<|/current_file_content|>",
            }
        ]
    },
    read_infill: {"input_prefix": "x", "input_suffix": "y"},
}
BODIES = {read_fim: FimBody, read_edit: EditBody, read_infill: InfillBody}
NUMBERS = (
    "temperature",
    "top_p",
    "seed",
    "max_tokens",
    "n",
    "presence_penalty",
    "n_predict",
    "t_max_predict_ms",
    "top_k",
)


def refusal(read, data):
    with pytest.raises(Problem) as refused:
        read(data if isinstance(data, bytes) else json.dumps(data).encode())
    assert refused.value.status == 400
    assert "\n" not in refused.value.reason
    return refused.value.reason


@pytest.mark.parametrize("kind", SHAPES)
def test_what_our_own_clients_send_is_read_as_it_was_meant(kind):
    shape = SHAPES[kind]
    asked = FillRequest("s", "import os\n\ndef f(a):\n    return ", "\n\nx = 1\n", "pkg/a.py", "python")
    sent = shape.body(asked, "unmask", 64)
    wanted = READERS[shape.path](json.dumps(sent).encode())
    got = wanted.request("s")
    assert (got.prefix, got.suffix) == (asked.prefix, asked.suffix)
    if "edit" not in kind:
        assert got.hole == "line"
    assert wanted.max_tokens == 64


def test_the_other_fields_of_a_fim_request_are_ours():
    body = {"prompt": "x", "path": "a.go", "language": "go", "block": True, "n": 2, "stop": "\n"}
    got = read_fim(json.dumps(body | {"snippets": [{"text": "y", "filename": "b.go"}]}).encode()).request("s")
    assert got == FillRequest("s", "x", "", "a.go", "go", "block", (Snippet("b.go", "y"),), 2)


def test_a_line_end_among_the_stops_asks_for_a_line():
    assert read_fim(b'{"prompt": "x", "stop": ["\\n"]}').hole == "line"
    assert read_fim(b'{"prompt": "x", "stop": ";"}').hole == "block"
    assert read_fim(b'{"prompt": "x"}').hole == "block"


def test_what_llama_vim_sends_is_read():
    body = {
        "input_prefix": "a\n", "input_suffix": "\nc", "prompt": "b = ", "n_predict": 128, "n_indent": 4, "stop": ["\n"],
        "top_k": 40, "top_p": 0.9, "stream": False, "samplers": ["top_k", "top_p", "infill"], "cache_prompt": True,
        "t_max_prompt_ms": 500, "t_max_predict_ms": 1000,
        "input_extra": [{"filename": "q.c", "text": "int q;", "time": [1732, 56]}],
        "response_fields": ["content", "timings/predicted_ms"],
    }  # fmt: skip
    wanted = read_infill(json.dumps(body).encode())
    assert wanted.request("s") == FillRequest(
        "s", "a\nb = ", "\nc", snippets=(Snippet("q.c", "int q;"),), max_tokens=128
    )
    assert (wanted.max_tokens, wanted.most_ms) == (128, 1000)
    assert read_infill(json.dumps(body | {"n_predict": 0}).encode()).max_tokens == 0


@pytest.mark.parametrize("read", SMALLEST, ids=lambda read: read.__name__)
@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe{}", b"[" * 100_000, b'{"prompt": NaN}', b"{} {}", b'{"a":' * 5000,
        b'{"\\ud800": 1}',
    ],
)  # fmt: skip
def test_what_is_no_such_object_is_refused(read, data):
    assert refusal(read, data).startswith("the body must be what this path takes")


@pytest.mark.parametrize("read", SMALLEST, ids=lambda read: read.__name__)
def test_a_field_that_nobody_knows_is_refused(read):
    assert "unknown field `n_discard`" in refusal(read, SMALLEST[read] | {"n_discard": -1})


@pytest.mark.parametrize("read", SMALLEST, ids=lambda read: read.__name__)
@given(st.sampled_from(NUMBERS), st.sampled_from([-(2**63), -1e308, -3, 1e9 + 0.5, 2**31, 2**63, 2**70, "1", [], True]))
def test_numbers_out_of_range_and_of_other_types_are_refused(read, name, value):
    if name in ("seed", "top_k") and value == 2**31:
        return
    refusal(read, SMALLEST[read] | {name: value})


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    for read in SMALLEST:
        refusal(read, data)


@pytest.mark.parametrize("text", ['"\\ud83d"', '"a\\udc00b"'])
def test_a_lone_surrogate_is_refused(text):
    data = f'{{"prompt": {text}}}'.encode()
    with pytest.raises(Problem) as refused:
        read_fim(data).request("s")
    assert refused.value.status == 400


def test_files_with_secrets_are_neither_filled_nor_shown():
    with pytest.raises(Problem, match="path must not be that of a file with secrets"):
        read_fim(b'{"prompt": "x", "path": "/home/a/.env"}').request("s")
    sent = b'{"input_prefix": "", "input_suffix": "", "input_extra": [{"filename": ".env", "text": "K=1"}]}'
    assert read_infill(sent).snippets == ()


@pytest.mark.parametrize("prompt", ["<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "[SUFFIX]b[PREFIX]a"])
def test_a_prompt_between_marks_is_refused_and_one_with_a_suffix_is_text(prompt):
    assert "marks are not read here" in refusal(read_fim, {"prompt": prompt})
    assert read_fim(json.dumps({"prompt": prompt, "suffix": "\n"}).encode()).prefix == prompt


def test_the_words_of_a_refusal_quote_no_text():
    assert "s3cret" not in refusal(read_fim, {"prompt": ["s3cret"]})
    assert "s3cret" not in refusal(read_fim, b'{"prompt": "s3cret')
    assert "s3cret" not in refusal(read_edit, {"messages": [{"role": "user", "content": "s3cret"}]})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<|cursor|>", ""),
        ("<|cursor|>", "<|cursor|><|cursor|>"),
        ("<|code_to_edit|>", ""),
        ("<|/code_to_edit|>", ""),
        ("<|/current_file_content|>", ""),
    ],
)
def test_an_edit_without_its_marks_is_refused(old, new):
    content = SMALLEST[read_edit]["messages"][0]["content"].replace(old, new)
    assert "messages[0].content must hold" in refusal(read_edit, {"messages": [{"role": "user", "content": content}]})


@pytest.mark.parametrize("path", ["file:///srv/a.py", "FILE:/srv/a.py", "file:file:///srv/a.py"])
def test_the_path_of_a_client_follows_no_link_of_this_machine(path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.resolve", lambda _: pytest.fail("looked at"))
    sent = {"prompt": "x", "path": path, "snippets": [{"text": "y", "filename": path}]}
    got = read_fim(json.dumps(sent).encode()).request("s")
    assert (got.path, got.snippets[0].path) == ("/srv/a.py", "/srv/a.py")


def test_a_message_of_marks_alone_is_read_at_once():
    marks = "<|current_file_content|>\n<|code_to_edit|>\n\n<|/code_to_edit|>"
    sent = {"messages": [{"role": "user", "content": marks * 3000}]}
    assert "messages[0].content must hold" in refusal(read_edit, sent)


def test_pieces_of_other_files_stand_before_the_edited_one():
    whole = SHAPES["mercury-edit"].body(
        FillRequest("s", "x = ", "", "a.py", snippets=(Snippet("b.py", "y\n\nz"), Snippet("c.py", "w"))), "unmask", 64
    )["messages"][0]["content"]
    begun = "<|recently_viewed_code_snippet|>\ncode_snippet_file_path: d.py\nnever ended\n"
    got = read_edit(json.dumps({"messages": [{"role": "user", "content": begun + whole}]}).encode())
    assert got.snippets == (Snippet("b.py", "y\n\nz"), Snippet("c.py", "w"))


@pytest.mark.parametrize("read", SMALLEST, ids=lambda read: read.__name__)
def test_what_is_null_is_not_there(read):
    body = SMALLEST[read]
    names = BODIES[read].__struct_fields__
    sent = json.dumps(body | {name: None for name in names if name not in body}, indent=1).encode()
    assert read(sent) == read(json.dumps(body).encode())
    for name in body:
        assert f"missing required field `{name}`" in refusal(read, body | {name: None})


def test_of_a_long_file_what_is_near_the_cursor_is_looked_at():
    line = "value = 1\n"
    got = read_fim(json.dumps({"prompt": line * 10_000, "suffix": line * 10_000}).encode()).request("s")
    assert (len(got.prefix), len(got.suffix)) == (64_000, 16_000)
    assert got.prefix.endswith(line)
    assert got.suffix.startswith(line)
