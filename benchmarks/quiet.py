"""How often the server speaks where a person wants something, and keeps quiet where a person wants nothing.

    .venv/bin/python benchmarks/quiet.py [--out benchmarks/results/quiet.json]

`quiet_scenarios.toml` holds the places; each is asked in the real server, as an editor asks by itself, once per preset.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from session import Editor

from coder_model.evaluation.run import facts
from lsp_server.trigger_policy import PRESETS

SCENARIOS = Path(__file__).parent / "quiet_scenarios.toml"
CURSOR = "‸"


def ghost_of(editor: Editor, number: int, scenario: dict[str, Any]) -> str:
    """Opens a scenario's document, types what it says, and returns what is shown."""
    before, after = scenario["text"].split(CURSOR)
    line = before.count("\n")
    column = len(before) - before.rfind("\n") - 1
    uri = scenario.get("uri", f"file:///work/{number}")
    editor.open(uri, before + after, scenario.get("language", "python"))
    for char in scenario.get("typed", ""):
        editor.type(line, column, char)
        column += 1
    for _ in range(scenario.get("deleted", 0)):
        editor.type(line, column, "", deleted=1)
        column -= 1
    return editor.ask(line, column).text


def measure(preset: str, scenarios: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the rates of a preset, and what was said in each scenario."""
    editor = Editor({"preset": preset, "deadlineMs": 30_000})
    editor.wait_until_ready()
    shown = {scenario["name"]: ghost_of(editor, number, scenario) for number, scenario in enumerate(scenarios)}
    editor.close()
    wanted = [bool(shown[scenario["name"]]) for scenario in scenarios if scenario["wanted"]]
    unwanted = [bool(shown[scenario["name"]]) for scenario in scenarios if not scenario["wanted"]]
    return {
        "show_rate": round(100 * sum(wanted) / len(wanted), 1),
        "quiet_rate": round(100 * (1 - sum(unwanted) / len(unwanted)), 1),
        "shown": shown,
    }


def main() -> None:
    """Measures every preset, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/quiet.json"))
    out: Path = parser.parse_args().out
    scenarios = tomllib.loads(SCENARIOS.read_text("utf-8"))["scenario"]
    found = {preset: measure(preset, scenarios) for preset in PRESETS}
    out.write_text(json.dumps({**facts(), "presets": found}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    table = Table("preset", "show rate, %", "quiet rate, %")
    for preset, figures in found.items():
        table.add_row(preset, str(figures["show_rate"]), str(figures["quiet_rate"]))
    Console().print(table)
    print(f"written to {out}")


if __name__ == "__main__":
    main()
