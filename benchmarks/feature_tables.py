"""The tables of `features.json`: what the loop does beside filling one hole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from records import Column, Figures, load, markdown, table

SYNTAX: dict[str, Column] = {
    "model, holes": "{name}",
    "count": "{cases}",
    "parse as decoded / answered, %": "{parses_before:.1f} / {parses_after:.1f}",
    "broken": "{broken}",
    "repaired": "{repaired}",
    "cut": "{cut}",
    "silenced": "{silenced}",
    "left": "{left}",
    "right before / after": "{right_before} / {right_after}",
}
CONFIDENCE: dict[str, Column] = {
    "model": "{name}",
    "tokens": "{tokens}",
    "right, %": "{right:.1f}",
    "calibration error before / after, %": "{error_before:.1f} / {error_after:.1f}",
    "temperature": "{temperature:.2f}",
    "nats before / after": "{nats_before:.3f} / {nats_after:.3f}",
}
OTHERS: dict[str, Column] = {
    "model": "{name}",
    "passes at the next key, with the draft / without": "{steps_with:.1f} / {steps_without:.1f}",
    "the same text, %": "{same_text:.0f}",
    "right, one / any of three, %": "{right_one:.1f} / {right_any:.1f}",
    "three take, times one": "{times:.1f}",
    "say what follows: decoded / answered / references": "{unfiltered} / {answered} / {in_references}",
}


def features() -> str:
    """All tables, one after the other."""
    models: Figures = load("features")["models"]
    syntax = [(f"{name}, `{of}`", found) for name, of, found in _parts(models, "syntax")]
    confidence = [(name, found) for name, _, found in _parts(models, "confidence")]
    others = [(name, _joined(of_model, "restarts", "choices", "duplicates")) for name, of_model in models.items()]
    parts = [table(syntax, SYNTAX), _anytime(models), table(others, OTHERS), table(confidence, CONFIDENCE)]
    return "\n".join(parts)


def _parts(models: Mapping[str, Figures], part: str) -> Iterator[tuple[str, str, Figures]]:
    for name, of_model in models.items():
        for of, found in of_model[part].items():
            yield name, of, found


def _joined(of_model: Figures, *parts: str) -> Figures:
    return {key: value for part in parts for key, value in of_model[part]["cases"].items()}


def _anytime(models: Mapping[str, Figures]) -> str:
    """Exact, begun rightly, and silent at each deadline."""
    found = {name: of_model["anytime"]["cases"]["deadlines"] for name, of_model in models.items()}
    heads = ["deadline, ms", *(f"{name}: exact / begins right / silent, %" for name in found)]
    rows = [
        [
            deadline,
            *("{exact:.0f} / {begins_right:.0f} / {silent:.0f}".format(**one[deadline]) for one in found.values()),
        ]
        for deadline in next(iter(found.values()))
    ]
    return markdown(heads, rows)
