import base64
import hashlib
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.redaction import REDACTED, redacted, redacted_parts

RANDOM = random.Random(0)


def drawn(alphabet, length):
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


BASE64 = string.ascii_letters + string.digits + "+/"
KEYS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + drawn(string.ascii_letters + string.digits, 36),
    "github_pat_" + drawn(string.ascii_letters + string.digits, 40),
    "glpat-" + drawn(string.ascii_letters, 20),
    "xoxb-" + drawn(string.digits, 12),
    "sk-" + drawn(string.ascii_letters, 40),
    "AIza" + drawn(string.ascii_letters, 35),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
]


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_known_formats_go_wherever_they_stand(key):
    assert redacted(f"call({key})", "python") == f"call({REDACTED})"
    assert key not in redacted(f'x = "{key}"  # {key}')


@pytest.mark.parametrize("length", [24, 32, 40, 64])
def test_literals_that_look_random_go(length):
    for _ in range(50):
        key = drawn(BASE64, length) + "aA1"
        assert redacted(f"x = '{key}'") == f"x = '{REDACTED}'"
    digits = drawn("0123456789abcdef", 40)
    assert redacted(f'x = "{digits}"') == f'x = "{REDACTED}"'


@pytest.mark.parametrize("name", ["password", "API_KEY", "db_passwd", "client_secret", '"token"', "apiKey"])
def test_what_is_assigned_to_a_password_goes(name):
    assert "hunter2!" not in redacted(f"{name} = 'hunter2!'\n")
    assert "hunter2!" not in redacted(f'{{{name}: "hunter2!"}}')


@pytest.mark.parametrize(
    "text",
    [
        "from coder_model.training.cross_entropy import linear_cross_entropy\n",
        "path = 'src/components/TableOfContents/index.module.css'\n",
        "url = 'https://example.com/a/long/path/to/some/page'\n",
        "name = 'test_that_an_answer_for_an_older_text_is_not_given'\n",
        "version = '0000000000000000000000000000000000000000'\n",
        "password = get_password()\n",
        "token = ''\n",
    ],
)
def test_ordinary_code_stays(text):
    assert redacted(text) == text


def test_a_row_of_beginnings_of_tokens_is_read_once():
    row = "eyJ-" * 50_000
    assert redacted(row) == row
    assert KEYS[-1] not in redacted(row + KEYS[-1])


def pem(kind="RSA PRIVATE KEY", size=1_190, headers=()):
    digits = base64.b64encode(random.Random(size).randbytes(size)).decode()
    rows = [digits[at : at + 64] for at in range(0, len(digits), 64)]
    return [f"-----BEGIN {kind}-----", *headers, *rows, f"-----END {kind}-----"], rows


FORMS = {
    "file": "{}",
    "file of DOS": "{}\r",
    "literal of several lines": '  "{}\\n" +',
    "list of lines": "    '{}',",
    "comment": "# {}",
    "other comment": "// {}",
    "block comment": " * {}",
    "deleted lines": "-{}",
    "added lines": "+{}",
}
KINDS = {
    "RSA PRIVATE KEY": (),
    "OPENSSH PRIVATE KEY": (),
    "PRIVATE KEY": ("Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0123456789ABCDEF", ""),
    "PGP PRIVATE KEY BLOCK": ("Version: GnuPG v2", "Comment: mine (at work)", ""),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_private_key_goes_in_whatever_stands_around_its_lines(kind, form):
    for size in (120, 1_190, 1_217):
        lines, rows = pem(kind, size, KINDS[kind])
        text = "\n".join(["a = 1", *(FORMS[form].format(line) for line in lines), "b = 2"])
        found = redacted(text)
        assert found.startswith("a = 1\n")
        assert found.endswith("\nb = 2")
        assert not [row for row in rows if row[3:] in found]


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_a_part_of_a_private_key_goes_too(form, data):
    lines, rows = pem()
    first = data.draw(st.integers(0, len(lines) - 2))
    last = data.draw(st.integers(first + 1, len(lines)))
    text = "\n".join(FORMS[form].format(line) for line in lines[first:last])
    found = redacted(f"a = 1\n{text}\nb = 2\n")
    # the last row alone has too little to be known by
    assert not [row for row in rows[:-1] if row[3:] in found]


def test_a_key_on_one_line_goes_where_its_end_is_cut():
    lines, rows = pem()
    literal = "\\n".join(lines)
    assert rows[0] not in redacted(f'{{"key": "{literal}"}}')
    assert rows[0] not in redacted(f'{{"key": "{literal[:700]}')


def test_a_text_is_cut_after_its_secrets_are_found():
    lines, rows = pem()
    text = "a = 1\n" + "\n".join(lines) + "\nb = 2\n"
    for at in range(len(text)):
        for part in redacted_parts(text, (0, at, len(text))):
            assert not [row for row in rows if row[:12] in part or row[-12:] in part]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(hashlib.sha1(bytes([n])).hexdigest() for n in range(9)),
        "src/components/TableOfContents/IndexPage3\nsrc/components/TableOfContents/IndexPage4\n",
        'if text.startswith("-----BEGIN PRIVATE KEY-----"):\n    return load(text, password=None)\n',
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me\n",
        "a" * 70 + "\n" + "=" * 70 + "\n",
        "- [ ] AVeryLongNameOfOneClassThatSaysWhatItIsAbout2\n",
    ],
)
def test_what_is_no_key_stays(text):
    assert redacted(text, "python") == text


@pytest.mark.parametrize(
    "text",
    [
        "/" * 500_000,
        ("aB3/" * 16 + "!\n") * 8_000,
        ("aB3/" * 12 + " " * 500 + "x\n") * 1_000,
        "-----BEGIN PRIVATE KEY-----\n" * 20_000,
        "-----BEGIN PRIVATE KEY-----" + "Abc: x\n" * 70_000,
        "-----BEGIN PRIVATE KEY-----\n" + "Ab: PRIVATE KEY-----\n" * 70_000,
        "-----BEGIN PRIVATE KEY-----" + "aB3/" * 120_000 + "!",
    ],
    ids=range(7),
)
def test_what_is_nearly_a_key_is_read_once(text):
    assert redacted(text) == text
