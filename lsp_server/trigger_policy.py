"""When to say nothing: what a preset allows to be asked of the model, and how sure its answer must be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PresetName = Literal["eager", "balanced", "quiet", "manual"]


@dataclass(frozen=True, slots=True)
class Preset:
    """How much is offered without being asked for."""

    automatic: bool = True
    """False: only what the user invokes."""
    least_right: float = 0.0
    """Share of suggestions as sure as one that must be right for it to be shown, see `FillRequest.least_right`."""
    before_text: float | None = None
    """The same where the cursor's line goes on with more than closing brackets and punctuation; None: nothing there."""
    least_probability: float = 0.0
    """Of a text that takes the place of another one, in a command over many places, by the model."""
    after_deletion: bool = False
    """Also after one or two deletions, which mostly mend a slip."""


PRESETS: dict[PresetName, Preset] = {
    "eager": Preset(least_right=0.4, before_text=0.4, after_deletion=True),
    "balanced": Preset(least_right=0.6, before_text=0.8, least_probability=0.002),
    "quiet": Preset(least_right=0.8, least_probability=0.05),
    "manual": Preset(automatic=False),
}
MANY_DELETIONS = 3
"""So many in a row are a change of mind, not a slip."""
# of a text without blanks around it: blanks that two parts could take are tried in every division
_ONLY_CLOSERS = re.compile(r"[)>}\]\"'`]*\s*[:{;,]?")


def least_right(name: PresetName, rest_of_line: str, deletions: int) -> float | None:
    """Returns how sure the answer to an automatic request must be, or None where nothing should be offered.

    Args:
        name: of the preset.
        rest_of_line: text between the cursor and the end of its line.
        deletions: single-character deletions in a row that led to this text.
    """
    preset = PRESETS[name]
    if not preset.after_deletion and 0 < deletions < MANY_DELETIONS:
        return None
    return preset.least_right if _ONLY_CLOSERS.fullmatch(rest_of_line.strip()) else preset.before_text


def least_probability_of_fill(name: PresetName) -> float:
    """Returns how likely a text must be that takes the place of another one, in a command over many places.

    Nobody looks at each place beforehand, so `manual` asks as much as the default does.
    """
    return PRESETS["balanced" if name == "manual" else name].least_probability
