"""Forms of secrets times languages: what is redacted, and that nothing else is."""

import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coder_model.text.redaction import REDACTED, redacted, redacted_parts

CODE = (
    "python",
    "javascript",
    "typescript",
    "go",
    "rust",
    "java",
    "c",
    "cpp",
    "lua",
    "csharp",
    "php",
    "ruby",
    "kotlin",
)
SHELLS = ("shellscript", "dockerfile", "makefile")
DATA = ("yaml", "properties", "ini", "dotenv", "dockercompose", "toml", "plaintext", "")
ALL = (*CODE, *SHELLS, *DATA, "markdown", "json", "xml", "http", "html")
# where NAME is that of a variable, and {} the secret; {}1 where only one with a digit is known
FORMS = {
    # in quotes
    "NAME = '{}'": (*CODE, *DATA),
    'NAME = "{}"': (*CODE, *DATA),
    'NAME == "{}"': CODE,
    'NAME: "{}",': ("javascript", "typescript", "rust", "go", "lua", "yaml", "json"),
    '"NAME": "{}"': ALL,
    "'NAME' => '{}',": ("php", "ruby"),
    "NAME = `{}`;": ("javascript", "typescript", "go"),
    "const NAME: string = `{}`": ("typescript",),
    'NAME: str = "{}"': ("python",),
    'NAME: Optional[str] = "{}"': ("python",),
    'let NAME: &str = "{}";': ("rust",),
    'let NAME = String::from("{}");': ("rust",),
    'NAME := "{}"': ("go",),
    'var NAME string = "{}"': ("go",),
    'static final String NAME = "{}";': ("java",),
    'const char NAME[] = "{}";': ("c", "cpp"),
    'settings["NAME"] = "{}"': CODE,
    'NAME = b"{}"': ("python",),
    'NAME = """{}"""': ("python",),
    'os.getenv("NAME", "{}")': ("python",),
    'os.Setenv("NAME", "{}")': ("go",),
    'env::set_var("NAME", "{}");': ("rust",),
    'os.environ.get("NAME", "{}")': ("python",),
    "<NAME>{}</NAME>": ("xml", "html", "java"),
    '<user NAME="{}"/>': ("xml", "html"),
    # in files of settings
    "NAME={}": (*SHELLS, *DATA),
    "  - NAME={}": ("yaml", "dockercompose"),
    "NAME: {}": DATA,
    "NAME: {}  # not for everybody": ("yaml",),
    "NAME: |\n  {}": ("yaml",),
    "spring.datasource.NAME={}": ("properties",),
    "spring.datasource.NAME {}1": ("properties",),
    "ENV NAME {}1": ("dockerfile",),
    "ENV NAME={}": ALL,
    # lines of a shell, in whatever they stand
    "export NAME={}": ALL,
    'export NAME="{}"': ALL,
    "# export NAME={}": ALL,
    "env NAME={} ./start": ALL,
    "docker run -e NAME={} image": ALL,
    'run(["env", "NAME={} && start"])': ALL,
    "deploy --NAME={}": ALL,
    "deploy --NAME {}1 now": ALL,
    'deploy --NAME="{}" now': ALL,
    'run("deploy", "--NAME", "{}")': ALL,
    "curl -u me:{} example.com": ALL,
    # addresses and headers
    "postgres://me:{}@host/name": ALL,
    'connect("redis://:{}@host:6379/0")': ALL,
    "https://example.com/?NAME={}&x=1": ALL,
    "Authorization: Bearer {}": ALL,
    '"Authorization": "Bearer {}"': ALL,
    "headers['Authorization'] = 'Basic {}'": ALL,
    "curl -H 'X-Api-Key: {}'": ALL,
    "Server=db;User Id=sa;Password={};Timeout=5": ALL,
    "host=db user=me password={} dbname=x": ALL,
    # files of their own
    "machine api.example.com login me password {}": ALL,
    "machine api.example.com\n  login me\n  password {}\n": ALL,
    "db.example.com:5432:name:me:{}": ALL,
}
NAMES = ("password", "DB_PASSWORD", "client_secret", "apiKey", "API_KEY", "access_key", "passphrase", "db_passwd")
SECRETS = st.text(string.ascii_letters + string.digits, min_size=10, max_size=30)
SECRETS = SECRETS.filter(lambda text: not text.lower().startswith("redacted") and text.lower().strip("x"))


def parts(form, name):
    """A form with a name in it, before and behind the secret, and the digit that one needs there."""
    before, _, after = form.replace("NAME", name).partition("{}")
    return (before, "1", after[1:]) if after.startswith("1") else (before, "", after)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10)
@given(secret=SECRETS, name=st.sampled_from(NAMES))
@example(secret="hunter2secret", name="DB_PASSWORD")
def test_a_secret_goes_and_all_around_it_stays(form, secret, name):
    before, digit, after = parts(form, name)
    for language in FORMS[form]:
        found = redacted(f"first = 1\n{before}{secret}{digit}{after}\nlast = 2\n", language)
        assert found == f"first = 1\n{before}{REDACTED}{after}\nlast = 2\n", language


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10)
@given(secret=SECRETS, at=st.integers(1, 7))
def test_a_cursor_in_a_secret_shows_neither_half(form, secret, at):
    before, digit, after = parts(form, "password")
    for language in FORMS[form]:
        text = f"{before}{secret}{digit}{after}\n"
        parts_shown = redacted_parts(text, (0, len(before) + at, len(text)), language)
        assert parts_shown == [before + REDACTED, f"{REDACTED}{after}\n"], language


@pytest.mark.parametrize("language", CODE)
@pytest.mark.parametrize(
    "line",
    [
        "password = get_password()",
        "password = args.password",
        "def login(user: str, password: str, token: Token) -> None:",
        "connect(user=user, password=password, timeout=5)",
        "this.password = password;",
        "password: string;",
        "pub password: String,",
        "const { password, token } = request.body;",
        "if (token.type == NAME) token = next_token(1);",
        'token = "name"',
        'tokens = ["if", "else"]',
        "tokenizer.eos_token = '<|endoftext|>'",
        'password = ""',
        "password = '' # 'empty'",
        "secret = None",
        'api_key = os.environ["API_KEY"]',
        'api_key = f"{prefix}"',
        "password = `${process.env.PASSWORD}`;",
        'parser.add_argument("--password", help="of the user")',
        "deploy --password $PASSWORD --token=<token>",
        "private_key = '~/.ssh/id_rsa'",
        'fields = ["user", "password", "email_address"]',
        "url = 'https://example.com:8080/a@b'",
        "git@github.com:owner/project.git",
        "a.py:12:3:error here",
        "Bearer authentication is what the header asks for",
        "password_field = 'the_field'",
        "compass = 'north-east'",
        "monkey: 'chimpanzee'",
    ],
)
def test_ordinary_lines_stay(line, language):
    assert redacted(f"{line}\n", language) == f"{line}\n"


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("password: ${{ secrets.DB_PASSWORD }}", "yaml"),
        ("password: {{ vault_password }}", "yaml"),
        ("password: *default", "yaml"),
        ("password: null", "yaml"),
        ("password:", "yaml"),
        ("tokens: 4096", "yaml"),
        ("DB_PASSWORD=$OTHER", "shellscript"),
        ('DB_PASSWORD="$(pass show db)"', "shellscript"),
        ("DB_PASSWORD=", "dotenv"),
        ("db.password=${DB_PASSWORD}", "properties"),
        ("The password is asked for once.", "plaintext"),
    ],
)
def test_places_for_a_secret_stay(line, language):
    assert redacted(f"{line}\n", language) == f"{line}\n"


def test_the_ending_of_a_file_says_what_its_language_would():
    line = "password: hunter2secret"
    assert redacted(line, path="a.yaml") == redacted(line) == f"password: {REDACTED}"
    assert redacted(line, path="a.swift") == redacted(line, "swift", "a.yaml") == line


@given(st.text("ab1.@:/#-= \n\"'`paswordKEY_tokn", max_size=80), st.sampled_from(["", "python", "shellscript"]))
def test_redacting_twice_changes_nothing_more(text, language):
    once = redacted(text, language)
    assert redacted(once, language) == once


def test_a_line_of_many_commands_takes_a_time_that_grows_with_it():
    def taken(size):
        began = time.process_time()
        redacted(("curl -u " * size)[:size])
        return time.process_time() - began

    # as its square would be 16 times
    assert min(taken(32_000) for _ in range(3)) < 9 * min(taken(8_000) for _ in range(3))
