"""Ranges of numbers that somebody else sets: options, settings. Each check, schema and table comes from these."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
ShareAsked = Annotated[float, Meta(ge=0, le=0.99)]
"""Nothing is right always."""
NotNegative = Annotated[float, Meta(ge=0)]
AboveZero = Annotated[float, Meta(gt=0)]
Milliseconds = Annotated[float, Meta(ge=1, le=600_000)]
Rows = Annotated[int, Meta(ge=1, le=65_536)]
"""Sequences that are computed together."""
Length = Annotated[int, Meta(ge=16, le=1 << 20)]
"""Tokens of a sequence."""
Size = Annotated[int, Meta(ge=1, le=1 << 20)]
"""Of a tensor's side."""
Layers = Annotated[int, Meta(ge=1, le=1024)]
