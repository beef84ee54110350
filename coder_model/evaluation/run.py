"""Runs deciders over cases and sums up: one row per decider and group of cases."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from coder_model.evaluation import baselines
from coder_model.evaluation.cases import Case
from coder_model.evaluation.metrics import Score, mean, paired_difference, percentile, score
from coder_model.types import Draft, FillRequest, InvalidInput
from coder_model.worker.threads import limit_threads


class Filler(Protocol):
    """What is evaluated: an engine, or its fake in a test."""

    def fill(self, request: FillRequest) -> Iterable[Draft]:
        """Yields drafts, the last one final."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case, decided."""

    case: Case
    text: str
    score: Score
    steps: int
    tokens: int
    confidence: float
    elapsed_ms: float

    @property
    def empty(self) -> bool:
        """Whether nothing was said where the reference says something."""
        return bool(self.case.reference.strip()) and not self.text.strip()


@dataclass(frozen=True, slots=True)
class Decision:
    """A completion, and what it took."""

    text: str = ""
    steps: int = 0
    tokens: int = 0
    confidence: float = 0.0


Decide = Callable[[Case], Decision]


@dataclass(frozen=True, slots=True)
class Contest:
    """What is evaluated, by name, and what is known of it before it has run."""

    deciders: dict[str, Decide]
    model: str
    """The engine's name, with the precision of its weights where it is a published model."""
    parameters: int
    device: str
    quantize: str
    options: dict[str, Any]
    """As they were asked for."""
    max_concurrent: int
    """Cases that the model may fill at a time."""

    def facts(self, data: Path, concurrent: int) -> dict[str, Any]:
        """Returns what a record says of it beside `facts`, once it has run: on which data, so many cases at a time."""
        known = {name: getattr(self, name) for name in ("model", "parameters", "device", "quantize", "options")}
        return {"data": data.name, **known, "concurrent": concurrent, **peak_memory()}


def by_engine(engine: Filler) -> Decide:
    """Returns a decider that asks an engine, each case as a document of its own."""

    def decide(case: Case) -> Decision:
        try:
            request = FillRequest(
                case.id, case.prefix, case.suffix, case.file_name, case.lang, case.hole, snippets=case.snippets
            )
        except InvalidInput:
            return Decision()
        *_, last = engine.fill(request)
        return Decision(last.text, last.steps, last.tokens, last.confidence)

    return decide


def by_copy(case: Case) -> Decision:
    """Decides by the copy baseline."""
    return Decision(baselines.copy(case.prefix, case.suffix))


def contest(model: str, quantize: str, options: dict[str, Any], only_model: bool) -> Contest:
    """Loads a model and, unless `only_model`, what it is compared with.

    Raises:
        InvalidInput: when an option is none of `EngineOptions`.
        ModelFileError: when the model cannot be loaded.
    """
    limit_threads()
    from coder_model.checkpoints.open import open_single
    from coder_model.engine.engine import Engine
    from coder_model.engine.options import ONE_TOKEN, EngineOptions

    def engine(**more: Any) -> Engine:
        made = open_single(model, EngineOptions.of({**options, **more}), quantize)
        made.warm_up()
        return made

    first = engine()
    found = {"model": by_engine(first)}
    if not only_model:
        found["one token at a time"] = by_engine(engine(policy=ONE_TOKEN))
        found["model without copies"] = by_engine(engine(copy=False))
        found["copy baseline"] = by_copy
    return Contest(found, first.name, first.parameters, _device(), quantize, options, first.max_concurrent)


def run(
    cases: list[Case], decide: Decide, progress: Callable[[], None] = lambda: None, concurrent: int = 1
) -> list[Outcome]:
    """Returns the outcome of every case, in order; they are scored when all are decided, which takes no time from them.

    Args:
        cases: what is decided.
        decide: how.
        progress: called after each decision.
        concurrent: cases decided at a time, each in a thread; what each takes is then its time beside the others.
    """

    def timed(case: Case) -> tuple[Decision, float]:
        began = time.perf_counter()
        found = decide(case)
        elapsed_ms = (time.perf_counter() - began) * 1000
        progress()
        return found, elapsed_ms

    if concurrent == 1:
        decided = [timed(case) for case in cases]
    else:
        with ThreadPoolExecutor(concurrent) as threads:
            decided = list(threads.map(timed, cases))
    # the cases' tests run in processes of their own
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        scores = list(threads.map(score, cases, [found.text for found, _ in decided]))
    return [
        Outcome(case, found.text, scored, found.steps, found.tokens, found.confidence, elapsed_ms)
        for case, (found, elapsed_ms), scored in zip(cases, decided, scores, strict=True)
    ]


def groups(outcomes: list[Outcome], by: Iterable[str]) -> dict[str, list[Outcome]]:
    """Returns the outcomes as `all`, and by the values of fields or tags named in `by`."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        found["all"].append(outcome)
        for name in by:
            value = getattr(outcome.case, name, outcome.case.tags.get(name))
            if value not in (None, ""):
                found[f"{name}={value}"].append(outcome)
    return dict(found)


def summary(outcomes: list[Outcome]) -> dict[str, float]:
    """Returns the figures of a group: percentages, tokens per step, steps per case, milliseconds."""
    steps = sum(o.steps for o in outcomes)
    times = [o.elapsed_ms for o in outcomes]
    passed = [o.score.passed for o in outcomes if o.score.passed is not None]
    return {
        "n": len(outcomes),
        "exact": 100 * mean([o.score.exact for o in outcomes]),
        "first_line": 100 * mean([o.score.first_line for o in outcomes]),
        "similarity": 100 * mean([o.score.similarity for o in outcomes]),
        "parses": 100 * mean([o.score.parses for o in outcomes]),
        "empty": 100 * mean([float(o.empty) for o in outcomes]),
        **({"passed": 100 * mean(passed)} if passed else {}),
        "tokens_per_step": sum(o.tokens for o in outcomes) / steps if steps else 0.0,
        "steps": steps / len(outcomes),
        "p50_ms": percentile(times, 50),
        "p95_ms": percentile(times, 95),
    }


def difference(a: list[Outcome], b: list[Outcome]) -> tuple[float, float]:
    """Returns the exact match of a minus that of b in points, and the half-width of the 95 % interval."""
    points, half = paired_difference([o.score.exact for o in a], [o.score.exact for o in b])
    return 100 * points, 100 * half


def facts() -> dict[str, Any]:
    """Returns when, on what and with what a result was made."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": _processor(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "tokenizers", "pygls")},
    }


def peak_memory() -> dict[str, float]:
    """Returns the most memory that this process has had, in units of 2**20 bytes: its own, and of a GPU that it used.

    Not `ru_maxrss`, which is inherited from the parent. Nothing where the system does not say (other than Linux).
    """
    import torch

    found = {}
    status = Path("/proc/self/status")
    if status.exists() and (peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text("ascii"))):
        found["peak_mb"] = int(peak[1]) / 1024
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        found["gpu_peak_mb"] = torch.cuda.max_memory_reserved() / 2**20
    return found


def write(path: Path, results: dict[str, list[Outcome]], by: list[str], about: dict[str, Any]) -> None:
    """Writes facts, figures and every case's completion as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        **facts(),
        **about,
        "figures": {
            name: {g: summary(o) for g, o in groups(outcomes, by).items()} for name, outcomes in results.items()
        },
        "cases": {
            name: [
                {
                    "id": o.case.id,
                    "text": o.text,
                    "steps": o.steps,
                    "tokens": o.tokens,
                    "confidence": round(o.confidence, 4),
                    **asdict(o.score),
                }
                for o in outcomes
            ]
            for name, outcomes in results.items()
        },
    }
    path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _commit() -> str | None:
    """The commit of the folder that the command runs in, None outside a repository or without git."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() and torch.cuda.memory_allocated() else "cpu"


def _processor() -> str:
    try:
        names = [
            line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")
        ]
    except OSError:
        return platform.processor()
    return f"{len(names)} x {names[0].split(':', 1)[1].strip()}" if names else platform.processor()
