"""Where the model lies that comes with the package. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

DEFAULT_MODEL = Path(__file__).parents[1] / "pretrained" / "default"
