"""What a user sets: at the start, pulled, pushed, wrong."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from fakes import SERVER, URI, ask
from lsp_client import LspClient
from processes import wait_until
from tiny_user import UNMASK, TinyUser

from coder_model.types import InvalidInput
from lsp_server.settings import PolicyName, Settings, read_settings
from lsp_server.user_settings import UserSettings, read_user_settings, read_what_is_right

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("options", "automatic", "by_hand"),
    [
        ({"preset": "manual"}, 0, 3),
        ({"preset": "quiet"}, 1, 3),
        ({"preset": "eager"}, 1, 3),
        ({"languages": {"python": False}}, 0, 0),
        ({"languages": {"rust": False}}, 1, 3),
    ],
)
def test_settings_say_how_much_is_offered(options, automatic, by_hand):
    client = LspClient(SERVER, options=options)
    try:
        assert len(ask(client, "x = ", 0, 4)) == automatic
        assert len(ask(client, "y = ", 0, 4, trigger=1)) == by_hand
    finally:
        client.close()


@pytest.mark.parametrize("off", ["cs", "csharp"])
def test_a_language_is_off_by_either_of_its_names(off):
    client = LspClient(SERVER, options={"languages": {off: False}})
    try:
        for name in ("cs", "csharp"):
            client.open(f"file:///{name}", "x = ", name)
            assert client.items(f"file:///{name}", 0, 4) == []
    finally:
        client.close()


@pytest.mark.parametrize(("reach", "mode"), [("single", "|line|"), ("auto", "|block|")])
def test_one_line_only_where_one_wants_no_more(reach, mode):
    client = LspClient(SERVER, options={"reach": reach})
    try:
        for trigger in (2, 1):
            item, *_ = ask(client, "def f():\n    \n", 1, 4, trigger=trigger)
            assert mode in item["insertText"]
        item, *_ = ask(client, "x = 1\n\ny = 2\n", 1, 0, trigger=1)
        assert mode in item["insertText"]
    finally:
        client.close()


def test_wrong_settings_are_named_once_and_do_no_harm():
    client = LspClient(SERVER, options={"deadlineMs": "soon", "modelPath": "/evil", "policy": "top_k"})
    try:
        assert ask(client, "x = ", 0, 4)
        assert wait_until(lambda: sum("modelPath" in line for line in client.log) == 1)
        assert wait_until(lambda: sum("deadlineMs" in line for line in client.log) == 1)
    finally:
        client.close()


def test_wrong_settings_are_in_the_status_until_they_are_right():
    on, configuration = "on: fake, 0.0 M parameters, 1 ms a suggestion", {"preset": "loud", "colour": 1}
    client = LspClient(SERVER, options={"preset": "loud"}, configuration=configuration)
    try:
        loud = f"{on}; setting preset: must be one of eager, balanced, quiet, manual, got 'loud'"
        assert wait_until(lambda: client.told[-1:] == [f"{loud} (and 1 more, see the log)"])
        client.configuration = {"preset": "eager"}
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        assert wait_until(lambda: client.told[-1] == on)
    finally:
        client.close()


def test_wrong_settings_of_the_start_stay_in_the_status_where_the_client_has_no_others():
    client = LspClient(SERVER, options={"colour": 1})
    try:
        assert wait_until(lambda: client.told[-1:] and client.told[-1].endswith("; unknown setting 'colour'"))
    finally:
        client.close()


def test_an_empty_table_of_lua_is_an_empty_object():
    assert read_settings([], Settings(preset="quiet")) == (Settings(preset="quiet"), [])
    assert read_settings({"languages": []}, Settings(languages={"rust": False})) == (Settings(), [])
    assert len(read_settings(["quiet"], Settings())[1]) == 1
    assert len(read_settings({"languages": ["rust"]}, Settings())[1]) == 1


def test_the_configuration_is_pulled_at_the_start_and_after_a_change():
    client = LspClient(SERVER, options={"languages": {"rust": False}}, configuration={"preset": "manual", "x": 1})
    try:
        assert wait_until(lambda: ask(client, "x = ", 0, 4) == [])
        client.configuration = {"preset": "eager"}
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        assert wait_until(lambda: ask(client, "x = ", 0, 4))
        client.open("file:///a.rs", "x = ", "rust")
        assert client.items("file:///a.rs", 0, 4) == []
        assert wait_until(lambda: sum("unknown setting 'x'" in line for line in client.log) == 1)
    finally:
        client.close()


def test_the_configuration_is_pushed_too(client):
    assert ask(client, "x = ", 0, 4)
    for wrong in ([1], 3, {"unmask": 7}, {"unmask": {"preset": 1}}, {"unmask": {"preset": 1}}):
        client.notify("workspace/didChangeConfiguration", {"settings": wrong})
    assert client.items(URI, 0, 4)
    assert wait_until(lambda: sum("preset" in line for line in client.log) == 1)
    client.notify("workspace/didChangeConfiguration", {"settings": {"unmask": {"preset": "manual"}}})
    assert ask(client, "y = ", 0, 4) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"deadlineMs": -5},
        {"deadlineMs": 0},
        {"deadlineInvokedMs": -0.1},
        {"deadlineMs": 1e12},
        {"deadlineMs": None},
        {"deadlineInvokedMs": None},
        {"policy": "fastest"},
        {"preset": "loud"},
        {"reach": 3},
        {"filtersOff": ["harm", "everything"]},
        {"languages": {"python": "yes"}},
        {"reuse": "no"},
        {"modelPath": "/evil"},
    ],
)
def test_a_value_out_of_range_is_named_and_the_default_kept(wrong):
    read, complaints = read_settings(wrong, Settings())
    assert read == Settings()
    assert len(complaints) == 1
    assert next(iter(wrong)) in complaints[0]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_deadline(number):
    read, (complaint,) = read_settings({"deadlineMs": number}, Settings())
    assert read == Settings()
    assert "deadlineMs" in complaint


def schema():
    """What is said of each setting: type, range, choices, default."""
    (definitions,), components = msgspec.json.schema_components([Settings])
    return components[definitions["$ref"].rpartition("/")[2]]["properties"]


def range_of(said):
    """The range of a number, as its schema says it; of one that may be absent too."""
    numbers = [one for one in (said, *said.get("anyOf", ())) if one.get("type") == "number"]
    return {key: bound for one in numbers for key, bound in one.items() if key.endswith("imum")}


def test_the_documentation_has_every_setting_with_its_default_and_range():
    page = (ROOT / "docs" / "usage.md").read_text("utf-8")
    found = re.findall(r"^\| `(\w+)` \| `?(.+?)`? \| (.+) \|$", page, re.MULTILINE)
    rows = {name: (json.loads(default), text) for name, default, text in found}
    assert rows.keys() == schema().keys()
    for name, said in schema().items():
        assert rows[name][0] == json.loads(json.dumps(said["default"])), name
        if bounds := range_of(said):
            assert f"{bounds['minimum']} to {bounds['maximum']}" in rows[name][1]
        for choice in said.get("enum", ()):
            assert f"`{choice}`" in rows[name][1] or choice == rows[name][0], (name, choice)


def test_the_schema_of_vs_code_is_that_of_the_server():
    package = json.loads((ROOT / "editor_clients" / "vscode" / "package.json").read_text("utf-8"))
    offered = package["contributes"]["configuration"]["properties"]
    for name, said in offered.items():
        # what to start, with what, where it is from, and whether to start it, is the client's own
        if name not in ("unmask.command", "unmask.model", "unmask.wheel", "unmask.enabled"):
            own = schema()[name.removeprefix("unmask.")]
            assert said["default"] == own["default"]
            assert {k: v for k, v in said.items() if k.endswith("imum")} == range_of(own)
            assert sorted(said.get("enum", ())) == sorted(own.get("enum", ()))


def test_every_policy_that_may_be_set_is_one():
    from coder_kernels.policies import POLICIES
    from coder_model.engine.options import ONE_TOKEN

    assert set(get_args(PolicyName)) == {*POLICIES, ONE_TOKEN}


def test_the_users_file_is_used_as_far_as_it_is_right(tmp_path):
    path = tmp_path / "settings.toml"
    assert read_what_is_right(path) == (UserSettings(), "")
    path.write_text('quantize = "int4"\nexact = 3\nmodels = "x"\n[remote]\nkind = "copilot"\n')
    read, complaint = read_what_is_right(path)
    assert read == UserSettings(quantize="int4")
    assert "settings.toml" in complaint
    path.write_text("no TOML")
    assert read_what_is_right(path)[0] == UserSettings()


def test_all_that_an_editor_may_set_may_stand_in_the_users_file_and_what_the_editor_says_goes_before_it(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(
        'leastRight = 0.3\ndeadlineMs = 900\npreset = "quiet"\nlanguages = { rust = false }\nmodel = "mine"\n'
    )
    user = read_user_settings(path)
    assert user == UserSettings(900.0, preset="quiet", least_right=0.3, languages={"rust": False}, model="mine")
    read, wrong = read_settings({"leastRight": 0.5}, user)
    assert (read.least_right, read.deadline_ms, wrong) == (0.5, 900.0, [])


@pytest.mark.parametrize("garbage", ["-0.1", "1", "nan", "-inf", "true", "'x'", "[0.5]", "{ x = 1 }", "1" * 400])
def test_garbage_in_the_users_file_is_named_and_the_rest_of_it_counts(tmp_path, garbage):
    path = tmp_path / "settings.toml"
    path.write_text(f"leastRight = {garbage}\ndeadlineMs = 700\n")
    with pytest.raises(InvalidInput, match="settings.toml must be the user's settings: .*leastRight|out of range"):
        read_user_settings(path)
    read, complaint = read_what_is_right(path)
    assert read == UserSettings(deadline_ms=700.0)
    assert "settings.toml" in complaint
    assert "\n" not in complaint


def test_a_workspace_cannot_set_what_the_user_alone_decides():
    hostile = {"model": "evil", "verifier": "evil", "exact": True, "quantize": "int4", "remote": {"kind": "openai"}}
    read, wrong = read_settings(hostile, UserSettings(model="mine"))
    assert read == UserSettings(model="mine")
    assert len(wrong) == len(hostile)


def test_the_server_goes_by_the_users_file(tmp_path):
    user = TinyUser(tmp_path)
    user.configure('preset = "manual"\nmodel = "embedded"\n')
    client = LspClient([*UNMASK, "lsp"], environment=user.environment)
    try:
        client.open(URI, "def add(a, b):\n    return ")
        assert wait_until(lambda: client.items(URI, 1, 11, 1), 60)
        assert client.items(URI, 1, 11) == []
    finally:
        client.close()
