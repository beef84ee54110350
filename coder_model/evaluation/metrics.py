"""Scores of one completion against its reference; white space at both ends never counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Indel

from coder_model.evaluation.cases import Case
from coder_model.evaluation.sandbox import passes
from coder_model.text.syntax import errors_in


@dataclass(frozen=True, slots=True)
class Score:
    """What one completion earned."""

    exact: float
    """1.0 when equal to the reference."""
    first_line: float
    """1.0 when the first lines that hold anything are equal."""
    similarity: float
    """2 LCS / (sum of the lengths) in characters, in [0, 1]; 1.0 for two empty texts."""
    parses: float
    """1.0 when the document has no more syntax errors than with the reference."""
    passed: float | None = None
    """1.0 when the case's test passes; None for a case without one."""


def score(case: Case, completion: str) -> Score:
    """Returns the scores of a completion."""
    reference, got = case.reference.strip(), completion.strip()
    return Score(
        float(reference == got),
        float(_first_line(reference) == _first_line(got)),
        Indel.normalized_similarity(reference, got),
        float(_errors_with(case, completion) <= _errors_with(case, case.reference)),
        float(passes(case.prefix + completion + case.suffix + case.test)) if case.test else None,
    )


def percentile(values: Sequence[float], q: float) -> float:
    """Returns the q-th percentile, q in [0, 100]; NaN without values."""
    return float(np.percentile(values, q)) if values else math.nan


def mean(values: Sequence[float]) -> float:
    """Returns the mean; NaN without values."""
    return sum(values) / len(values) if values else math.nan


def paired_difference(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Returns the mean of a - b over the same cases, and the half-width of its 95 % interval."""
    differences = np.array(a) - np.array(b)
    if len(differences) < 2:
        return float(differences.mean()) if len(differences) else math.nan, math.nan
    return float(differences.mean()), float(1.96 * differences.std(ddof=1) / math.sqrt(len(differences)))


def _errors_with(case: Case, completion: str) -> int:
    return errors_in(case.prefix + completion + case.suffix, case.lang)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
