"""Writes what ships, with versions, licences and hashes: a CycloneDX 1.6 bill of materials, the same bytes each time.

    python deploy/sbom.py [--out sbom.cdx.json] [--extras model,remote,serve,languages]

Python: the package and all that its extras bring, as installed here, from the installed packages' own metadata.
npm: what is bundled into the page of `unmask play` and the extension, from their lock files.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRAS = ("model", "remote", "serve", "oidc", "languages")
LOCKS = ("editor_clients/web/package-lock.json", "editor_clients/vscode/package-lock.json")
_ALGORITHMS = {"sha512": "SHA-512", "sha256": "SHA-256", "sha1": "SHA-1"}
Object = dict[str, Any]


def required(name: str, extras: tuple[str, ...]) -> Iterator[Distribution]:
    """Yields the installed packages that one with these extras needs, itself first, each once."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    told: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        name, extras = waiting.pop(0)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            # of another system, or an extra that is not installed
            continue
        if name not in told:
            told.add(name)
            yield found
        for line in found.requires or ():
            requirement = Requirement(line)
            wanted = [{"extra": extra} for extra in ("", *extras)]
            if requirement.marker is None or any(requirement.marker.evaluate(one) for one in wanted):
                waiting.append((canonicalize_name(requirement.name), tuple(sorted(requirement.extras))))


def licence(metadata: Message) -> str:
    """Returns a package's licence, as it says itself: an SPDX expression, else the classifiers', else its own words."""
    if expression := metadata.get("License-Expression"):
        return expression
    named = [
        line.rpartition(":: ")[2] for line in metadata.get_all("Classifier") or () if line.startswith("License ::")
    ]
    return " and ".join(named) or (metadata.get("License") or "").strip().partition("\n")[0]


def python_component(found: Distribution) -> Object:
    """Returns one installed package as a component."""
    metadata = found.metadata
    name = canonicalize_name(metadata["Name"])
    said = licence(metadata)  # type: ignore[arg-type]
    component = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{found.version}",
        "name": name,
        "version": found.version,
        "purl": f"pkg:pypi/{name}@{found.version}",
    }
    return component | _licences(said)


def npm_components(lock: Path) -> Iterator[Object]:
    """Yields what a lock file brings, with the hash that it pins, the tools of development left out."""
    for place, entry in json.loads(lock.read_text("utf-8"))["packages"].items():
        if not place or entry.get("dev") or entry.get("link"):
            continue
        name = place.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{name.replace('@', '%40', 1)}@{entry['version']}"
        component = {"type": "library", "bom-ref": purl, "name": name, "version": entry["version"], "purl": purl}
        algorithm, _, digest = entry.get("integrity", "").partition("-")
        if digest:
            component["hashes"] = [{"alg": _ALGORITHMS[algorithm], "content": _hex(digest)}]
        yield component | _licences(entry.get("license", ""))


def bill(extras: tuple[str, ...]) -> Object:
    """Returns the bill of materials."""
    own, *others = required("unmask", extras)
    components = [python_component(one) for one in others]
    components += [one for lock in LOCKS for one in npm_components(ROOT / lock)]
    unique = {one["bom-ref"]: one for one in components}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": python_component(own) | {"type": "application"}},
        "components": [unique[ref] for ref in sorted(unique)],
    }


def _licences(said: str) -> Object:
    if not said:
        return {}
    return {"licenses": [{"license": {"name": said}}]}


def _hex(digest: str) -> str:
    return base64.b64decode(digest).hex()


def main() -> None:
    """Writes the bill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("sbom.cdx.json"))
    parser.add_argument("--extras", default=",".join(EXTRAS))
    arguments = parser.parse_args()
    made = bill(tuple(arguments.extras.split(",")))
    arguments.out.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    unknown = [one["name"] for one in made["components"] if "licenses" not in one]
    print(f"{len(made['components'])} components, {len(unknown)} without a licence: {', '.join(unknown) or '-'}")


if __name__ == "__main__":
    main()
