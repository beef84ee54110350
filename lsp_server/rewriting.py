"""A passage rewritten where the model finds it unlikely: its own judgement of every token says what is drafted again.

A diffusion model would mask the weakest tokens again and denoise them. A causal one comes near to it: it judges the
whole passage in one pass, given what is before and behind it; what is weak is a hole that the usual fill fills; and a
draft is kept only if the model then finds the passage clearly likelier as a whole, and it parses no worse.

Knows neither the editor nor documents: the language server and the command line call it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from coder_model.text.code_words import WORD, code_words
from coder_model.text.holes import Hole, says_nothing
from coder_model.text.weak_spots import Judgement, Spot
from coder_model.types import FillRequest, HoleMode
from lsp_server.joint_fill import Ask, FilledHole, fill_jointly, with_fills
from lsp_server.passages import Passage

Strength = Literal["light", "refresh", "rewrite"]
"""What is drafted again: clear outliers; also the weakest third of the statements; or all of it."""
LEAST_GAIN = 3.5
"""Nats by which the whole passage must be likelier with a change: 33 times."""
MOST_LOST = 2
"""Words that a change may take away on balance: what is shorter is likelier for that alone."""
MUCH = math.log(1e6)
MOST_SPOTS = 8
"""Outliers that are drafted again: each takes two or three passes over the text around it."""
Told = Callable[[float, str], None]
"""Gets the share of the work that is done, in [0, 1], and what is being done."""
Lines = tuple[str, ...]
_FIRST_WORD = re.compile(r"\s*[^\w\s]*\w*")


def _takes_away(old: Sequence[str], new: Sequence[str]) -> bool:
    """True when some words say nothing that others do not."""
    left = iter(old)
    return all(word in left for word in new)


def _says_less(passage: Passage, old: Lines, new: Lines) -> bool:
    """True when lines say nothing that others do not, or much less, or prose where those have code."""
    was, now = (WORD.findall("\n".join(lines)) for lines in (old, new))
    if _takes_away(was, now) or len(was) - len(now) > MOST_LOST:
        return True
    code_was, code_now = (code_words(passage.before, lines, passage.language) for lines in (old, new))
    return code_was != code_now and _takes_away(code_was, code_now)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a draft must be to be kept; it never parses worse."""

    fits: Callable[[Lines, Lines], bool]
    """(the lines as they are, the lines with the draft) -> whether it may be."""
    least_gain: float
    """Nats."""


class NotJudged(Exception):
    """The model has not said how likely it finds a text."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of a passage."""

    lines: tuple[str, ...]
    gain: float
    """Nats by which the model finds the passage likelier than before."""
    tried: int
    """Places that were drafted again."""

    @property
    def verdict(self) -> str:
        """What the model thinks, for people."""
        if self.gain <= 0:
            return "the model finds nothing that is clearly likelier"
        times = f"{math.exp(self.gain):,.0f}" if self.gain < MUCH else "over a million"
        return f"the model finds the selection {times} times likelier now"


async def rewrite(
    passage: Passage, strength: Strength, instruction: str, common: FillRequest, ask: Ask, told: Told
) -> Rewritten:
    """Returns the lines that are to take the place of a passage's; the same ones where the model finds none better.

    Args:
        passage: the lines, and what is around them.
        strength: how much of it is drafted again.
        instruction: shown to the model as a comment before the passage; empty for none.
        common: what is asked at each place, but for the text around it.
        ask: gets an answer.
        told: is told how far it is.

    Raises:
        NotJudged: when the model fails to judge the passage.
    """
    rule = Rule(lambda old, new: not _says_less(passage, old, new), LEAST_GAIN)
    work = _Rewriting(passage, passage.instructed(instruction), common, ask, told, rule)
    told(0.0, "reading the selection")
    work.judgement = first = await work.judge(passage.lines)
    await work.mend_outliers()
    if strength == "refresh":
        await work.redraft(work.weakest())
    elif strength == "rewrite":
        await work.redraft([work.body()])
    return Rewritten(work.judgement.lines, work.judgement.log_probability - first.log_probability, work.tried)


async def mend(
    passage: Passage, judgement: Judgement, spots: Sequence[Spot], common: FillRequest, ask: Ask, rule: Rule
) -> Judgement:
    """Returns some lines with the first of the places mended where that is of use.

    Args:
        passage: the lines, and what is around them.
        judgement: of the lines.
        spots: tokens that are drafted again, with what is behind them in their line.
        common: what is asked, but for the text.
        ask: gets an answer.
        rule: what a draft must be.

    Raises:
        NotJudged: when the model fails to judge a draft.
    """
    work = _Rewriting(passage, passage.before, common, ask, lambda *_: None, rule)
    work.judgement = judgement
    for spot in spots:
        await work.mend(spot)
        if work.judgement is not judgement:
            break
    return work.judgement


async def judge(
    lines: tuple[str, ...], before: str, after: str, common: FillRequest, ask: Ask, known: Judgement | None = None
) -> Judgement:
    """Returns how likely a model finds some lines between others.

    Args:
        lines: without their ends.
        before: text before them.
        after: text behind them.
        common: what is asked, but for the text.
        ask: gets an answer.
        known: of other lines in the same place; what begins alike is read from there on.

    Raises:
        NotJudged: when the model fails to judge them.
    """
    row, kept = (0, ()) if known is None else known.common_start(lines)
    prefix = before + "".join(f"{line}\n" for line in lines[:row])
    text = "\n".join(lines[row:])
    draft = await ask(replace(common, prefix=prefix, suffix=after, hole="block", judged=text))
    if draft is None or "".join(slot.text for slot in draft.slots) != text:
        raise NotJudged
    return Judgement(lines, (*kept, *draft.slots))


class _Rewriting:
    """One passage on its way."""

    judgement: Judgement
    """Of the lines as they are by now."""

    def __init__(self, passage: Passage, before: str, common: FillRequest, ask: Ask, told: Told, rule: Rule) -> None:
        self._passage, self._before, self._after = passage, before, passage.after
        self._common, self._ask, self._told = common, ask, told
        self._rule = rule
        self.tried = 0

    async def judge(self, lines: tuple[str, ...], known: Judgement | None = None) -> Judgement:
        """Asks how likely the passage is with some lines; what begins as one that was judged is read from there on."""
        return await judge(lines, self._before, self._after, self._common, self._ask, known)

    async def mend_outliers(self) -> None:
        """Drafts again from each outlier to the end of its line, and before lines that come too early."""
        tried: set[tuple[str, int]] = set()
        while len(tried) < MOST_SPOTS:
            spots = self.judgement.outliers(self._passage.language, self._before)
            spot = next((spot for spot in spots if self._name(spot) not in tried), None)
            if spot is None:
                return
            tried.add(self._name(spot))
            self.tried += 1
            self._told(len(tried) / MOST_SPOTS / 2, f"place {len(tried)}")
            await self.mend(spot)

    def body(self) -> tuple[int, int]:
        """Returns the rows of the lines as they are by now that may be drafted again, see `Passage.body`."""
        return replace(self._passage, lines=self.judgement.lines).body()

    def weakest(self) -> list[tuple[int, int]]:
        """Returns the rows of the weakest statements."""
        return self.judgement.weakest(self._passage.language, self._before, self.body())

    async def redraft(self, spans: list[tuple[int, int]]) -> None:
        """Drafts spans of rows again so that they agree, and keeps what is better, the surest first."""
        text, start = self._text(self.judgement.lines), len(self._before)
        holes = tuple(hole for span in spans if (hole := self._hole(span, start)))
        self.tried += len(holes)

        def told(decided: int) -> None:
            self._told(0.5 + decided / len(holes) / 2, f"{decided} of {len(holes)} statements")

        filled = await fill_jointly(text, holes, self._common, self._ask, told)
        kept: list[FilledHole] = []
        for one in sorted(filled, key=lambda one: -one.probability):
            new = with_fills(text, [*kept, one])[start : -len(self._after) or None]
            if await self._keep_best([tuple(new.split("\n"))]):
                kept.append(one)

    async def _keep_best(self, drafts: list[tuple[str, ...]]) -> bool:
        """Takes the likeliest of some drafts if it is clearly likelier than what is there and parses no worse."""
        now = self.judgement
        most = self._passage.faults_with(now.lines)
        fitting = [
            lines for lines in drafts if self._rule.fits(now.lines, lines) and self._passage.faults_with(lines) <= most
        ]
        found = [await self.judge(lines, now) for lines in dict.fromkeys(fitting)]
        best = max(found, key=lambda one: one.log_probability, default=now)
        if best.log_probability - now.log_probability < self._rule.least_gain:
            return False
        self.judgement = best
        return True

    async def mend(self, spot: Spot) -> None:
        """Tries another line before the one that an outlier begins, as that loses nothing; else another end of it."""
        lines, row = self.judgement.lines, spot.row
        line = lines[row] if row < len(lines) else ""
        head, rest = line[: spot.column], line[spot.column :]
        if not head.strip():
            said = await self._fill([*lines[:row], ""], lines[row:])
            drafts = [] if says_nothing(said) else [(*lines[:row], said, *lines[row:])]
            if await self._keep_best(drafts):
                return
        said = await self._fill([*lines[:row], head], lines[row + 1 :]) if rest.strip() else ""
        if said.strip():
            word, old = _FIRST_WORD.match(said), _FIRST_WORD.match(rest)
            assert word
            assert old
            ends = said, word.group() + rest[old.end() :]
            drafts = [(*lines[:row], head + end, *lines[row + 1 :]) for end in ends]
            await self._keep_best(drafts)

    async def _fill(self, above: list[str], below: tuple[str, ...]) -> str:
        """What the model says between the end of some lines and the line end before others."""
        prefix = self._before + "\n".join(above)
        suffix = "".join(f"\n{line}" for line in below) + self._after
        draft = await self._ask(replace(self._common, prefix=prefix, suffix=suffix, hole="line", least_probability=0.0))
        return draft.text if draft and draft.finished and "\n" not in draft.text else ""

    def _name(self, spot: Spot) -> tuple[str, int]:
        lines = self.judgement.lines
        return lines[spot.row] if spot.row < len(lines) else "\n", spot.column

    def _hole(self, span: tuple[int, int], start: int) -> Hole | None:
        """The hole in the text around that rows are, without the blanks before them."""
        lines = self.judgement.lines
        text = "\n".join(lines[slice(*span)])
        blanks = len(text) - len(text.lstrip())
        first = start + sum(len(line) + 1 for line in lines[: span[0]])
        mode: HoleMode = "line" if span[1] - span[0] == 1 else "block"
        return Hole(first + blanks, first + len(text), mode) if text.strip() else None

    def _text(self, lines: tuple[str, ...]) -> str:
        return self._before + "\n".join(lines) + self._after
