"""The real VS Code, in a browser without a screen, with the extension that we ship and a fake model."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_program import tiny_wheel

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "editor_clients" / "vscode"
DRIVERS = Path(__file__).parent / "vscode"
SERVER = [sys.executable, str(ROOT / "tests" / "support" / "fake_server.py")]
PROGRAM = [sys.executable, str(ROOT / "tests" / "support" / "fake_program.py"), "lsp"]
VSCODE = Path(os.environ.get("UNMASK_VSCODE", ROOT / "tools" / "vscode"))


def seen_by(driver, folder, arguments):
    """What a driver saw; a browser on a busy machine may lose a key or a click, so a failure is tried once more.

    `arguments` makes the driver's of where the editor is and runs.
    """
    chromium = shutil.which("chromium")
    if not (VSCODE / "vscode" / "out" / "server-main.js").exists() or not chromium:
        pytest.skip("needs VS Code's web server in tools/vscode or $UNMASK_VSCODE, and chromium on the PATH")
    if not (EXTENSION / "dist" / "extension.js").exists():
        pytest.skip("needs the extension built: npm ci && npm run build in editor_clients/vscode")
    seen = {}
    for run in (folder / "first", folder / "second"):
        run.mkdir()
        place = {"vscode": str(VSCODE), "extension": str(EXTENSION), "run": str(run), "executablePath": chromium}
        command = ["node", str(DRIVERS / driver), *arguments(place)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=True)
        seen = json.loads(done.stdout.splitlines()[-1])
        if "error" not in seen:
            break
    assert "error" not in seen, seen
    return seen


def drive(scenario, folder, **settings):
    wanted = json.dumps({f"unmask.{name}": value for name, value in settings.items()})
    return seen_by("driver.mjs", folder, lambda place: [scenario, *place.values(), wanted])


def first_lines(rows):
    return [row.split("\n")[0] for row in rows]


def test_ghost_text_is_accepted_and_the_commands_of_palette_and_menu_do_what_they_say(tmp_path):
    seen = drive("typing", tmp_path, command=SERVER)
    assert seen["status"]
    assert seen["ghost"].replace("\xa0", " ") == "<x = |line|>"
    assert seen["file"] == "x = <x = |line|>!"
    assert first_lines(seen["menu"])[:5] == [
        "Suggest here now",
        "Watch",
        "Show alternatives in a panel",
        "Be quiet for some minutes, or speak again",
        "Turn off, or on again",
    ]
    assert seen["filled"].startswith("def one():\n    return one")
    assert seen["rewritten"] == "x = good"


def test_a_fill_is_watched_pass_by_pass_and_ends_as_ghost_text_or_with_a_key(tmp_path):
    seen = drive("watch", tmp_path, command=SERVER, preset="manual")
    assert seen["pass"].startswith("<░ ")
    assert seen["ghost"].replace("\xa0", " ") == "<slow = |line|>"
    assert seen["after"] == ""
    assert seen["file"] == "slow = <slow = |line|>"
    assert "unmask" not in seen["popups"]
    # of the settings that start it the server hears nothing
    assert "; setting reach: must be one of auto, single, multi, got 'far';" in seen["tooltip"]


def test_alternatives_stand_in_a_panel_and_are_taken_where_the_document_is_what_it_was(tmp_path, fills):
    seen = drive("alternatives", tmp_path, command=SERVER, preset="manual")
    assert seen["looking"] == "looking for alternatives …"
    heading, *lines = seen["found"].split("\n")
    assert heading == "6 alternatives; Enter takes the one at the cursor"
    assert lines == ["slow = (<slow = (|line|)>)", *(f"slow = (<slow = (|line|)>{n})" for n in range(1, 6))]
    assert seen["lenses"] == [f"Accept {n} of 6" for n in range(1, 7)]
    # four lines down stands the second, and the cursor is behind what was inserted
    assert seen["byKey"] == "slow = (<slow = (|line|)>1!)"
    assert seen["byClick"] == "w = <w = |line|>5"
    assert seen["beside"] == "none", "the model was shown the panel"
    assert seen["refused"] == "unmask: the document was edited; ask for alternatives again"
    assert seen["edited"] == "order = snippets = order = "
    assert "slow too" not in fills.read_text(), "closing the panel did not end the fill"


def test_a_server_of_another_release_is_told_in_the_status_and_does_what_it_knows(tmp_path):
    server = [sys.executable, str(ROOT / "tests" / "support" / "other_release.py"), "0.0.9"]
    seen = drive("release", tmp_path, command=[*server, "unmask.watch", "unmask.findAlternatives"], preset="manual")
    assert "; the server is 0.0.9, the extension 0.1.0; " in seen["tooltip"]
    assert seen["lacked"] == "unmask: the server 0.0.9 has no 'unmask.watch', the extension is 0.1.0"
    lack = "no alternatives: the server 0.0.9 has no 'unmask.findAlternatives', the extension is 0.1.0"
    assert seen["panel"] == lack
    assert seen["ghost"].replace("\xa0", " ") == "<x = |line|>"
    assert "unmask" not in seen["popups"]


def test_a_model_is_fetched_chosen_and_removed_from_the_menu(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_TEST_MODELS", str(tmp_path / "models"))
    seen = drive("models", tmp_path, command=PROGRAM)
    automatic, embedded, *models = seen["choices"]
    assert automatic.startswith("Automatic")
    assert embedded.startswith("embedded")
    # a row's words may stand in one line
    (row,) = [row for row in models if re.match(r"qwen2\.5-coder-0\.5b\s*0\.5 B", row)]
    assert "0.49 GB to fetch" in row
    assert "Fetch qwen2.5-coder-0.5b?" in seen["asked"]
    assert seen["chosen"] == "qwen2.5-coder-0.5b"
    assert "Remove qwen2.5-coder-0.5b?" in seen["removal"]
    assert not list((tmp_path / "models").iterdir())


def test_without_a_program_the_menu_offers_what_helps_and_installs_one(tmp_path):
    seen = drive("missing", tmp_path, command=["/nowhere/unmask", "lsp"], wheel=str(tiny_wheel(tmp_path)))
    assert first_lines(seen["menu"]) == [
        "Turn off, or on again",
        "Install the server",
        "Restart the server",
        "Show the log",
        "Open the settings",
    ]
    assert "a Python environment of its own" in seen["asked"]
    program, argument = seen["command"]
    assert (Path(program).name, argument) == ("unmask", "lsp")
    again, _ = seen["again"]
    assert Path(again).exists()
    assert Path(again).parents[1] != Path(program).parents[1]


def test_programs_that_never_answer_are_ended_and_what_cannot_start_is_told(tmp_path):
    # it runs in the folder of the workspace; the third one is a server
    script = f"echo $$ >> pids; test $(wc -l < pids) -lt 3 && exec sleep 600; exec {shlex.join(SERVER)}"
    seen = drive("silent", tmp_path, command=["sh", "-c", script])
    assert "has not answered for 60 s" in seen["popups"]
    # a message names where it comes from
    assert seen["popups"].count("unmask: ") == 1, "of an error a state is told, and the first one more"


def test_where_little_is_expected_it_is_quiet_or_works_and_a_folders_settings_are_not_followed(tmp_path):
    pid = tmp_path / "pid"
    server = [sys.executable, str(ROOT / "benchmarks" / "relay.py"), "--times", str(tmp_path / "times"), *SERVER]
    command = ["sh", "-c", f"echo $$ > {shlex.quote(str(pid))}; exec {shlex.join(server)}"]
    settings = json.dumps({"unmask.command": command})
    seen = seen_by("places.mjs", tmp_path, lambda place: [json.dumps(place), settings, str(pid), f"{tmp_path}/times"])
    shown = {name: text.replace("\xa0", " ") for name, text in seen.items() if isinstance(text, str)}
    assert not seen["isTrusted"]
    assert shown["locked"] == ""
    assert shown["cursors"].startswith("a = <a = |line|")
    assert [text.replace("\xa0", " ") for text in seen["composed"]] == ["", "<日本 = |line|>"]
    assert shown["compared"] == "<w = |line|>"
    assert shown["large"] == shown["cell"] == shown["crashed"] == "<x = |line|>"
    # where another server is started there is nothing to do
    assert "not running" not in seen["popups"]


def test_the_walkthrough_names_commands_settings_and_pages_that_exist():
    contributes = json.loads((EXTENSION / "package.json").read_text("utf-8"))["contributes"]
    known = {f"onCommand:{one['command']}" for one in contributes["commands"]}
    known |= {f"onSettingChanged:{name}" for name in contributes["configuration"]["properties"]}
    (walkthrough,) = contributes["walkthroughs"]
    for step in walkthrough["steps"]:
        linked = re.findall(r"\]\(command:([\w.]+)\)", step["description"])
        assert {*(f"onCommand:{command}" for command in linked), *step["completionEvents"]} <= known
        assert (EXTENSION / step["media"]["markdown"]).is_file()


def test_what_needs_no_editor(tmp_path):
    if not (EXTENSION / "node_modules" / "esbuild").is_dir():
        pytest.skip("needs npm ci in editor_clients/vscode")
    done = subprocess.run(["npm", "test", "--silent"], cwd=EXTENSION, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_names_no_registry_and_every_package_has_its_hash():
    lock = (EXTENSION / "package-lock.json").read_text()
    assert "resolved" not in lock
    packages = json.loads(lock)["packages"]
    wanted = json.loads((EXTENSION / "package.json").read_text())
    assert packages[""]["dependencies"] == wanted["dependencies"]
    assert packages[""]["devDependencies"] == wanted["devDependencies"]
    assert all(one["integrity"].startswith("sha512-") for name, one in packages.items() if name)
