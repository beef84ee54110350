import random
import string

import pytest

from coder_model.text.redaction import REDACTED, redacted

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
