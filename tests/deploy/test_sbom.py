import importlib.util
import json
import subprocess
import sys
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/sbom.py"
COPYLEFT = ("GPL", "AGPL", "SSPL", "Commons Clause")


def loaded():
    spec = importlib.util.spec_from_file_location("sbom", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sbom = loaded()


@pytest.fixture(scope="module")
def bill():
    return sbom.bill(sbom.EXTRAS)


def test_it_has_what_ships_and_not_what_tests(bill):
    names = {one["name"] for one in bill["components"]}
    assert {"pygls", "msgspec", "torch", "tokenizers", "tree-sitter", "starlette", "uvicorn"} <= names
    assert not names & {"pytest", "hypothesis", "mypy", "ruff", "transformers", "unmask"}
    assert bill["metadata"]["component"]["name"] == "unmask"


def test_each_has_a_version_a_purl_and_a_licence_that_may_ship(bill):
    assert len({one["bom-ref"] for one in bill["components"]}) == len(bill["components"])
    for one in bill["components"]:
        assert one["purl"].startswith(("pkg:pypi/", "pkg:npm/"))
        assert one["purl"].endswith(f"@{one['version']}")
        (said,) = one["licenses"]
        name = said["license"]["name"]
        assert not any(word in name.replace("LGPL", "") for word in COPYLEFT), f"{one['name']}: {name}"


def test_it_is_the_same_bytes_each_time(tmp_path):
    made = []
    for name in ("a", "b"):
        subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path / name)], check=True, capture_output=True)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert json.loads(made[0])["specVersion"] == "1.6"


def test_it_is_valid_cyclonedx(bill):
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.schema import SchemaVersion

    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License-Expression": "MIT"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: BSD License", "License": "x"}, "BSD License"),
        ({"License": "Apache 2.0\nlong text"}, "Apache 2.0"),
        ({}, ""),
    ],
)
def test_a_licence_is_what_the_package_says(fields, expected):
    message = Message()
    for name, value in fields.items():
        message[name] = value
    assert sbom.licence(message) == expected
