"""What `unmask fill` shows of a draft, without a model."""

import os
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import Draft, FillRequest, Slot, is_encodable
from unmask_cli.fill import as_text, canvas, in_place, split_at, summary


def test_a_place_splits_the_text_by_the_protocols_lines():
    assert split_at("a\x0cb\r\nc😀d", "2:3", Path("x")) == ("a\x0cb\r\nc😀", "d")


def test_drawing_shows_text_masks_and_figures():
    draft = Draft("ab", final=False, confidence=0.5, steps=2, tokens=3, elapsed_ms=4.2, finished=False, kind="denoise")
    watched = Draft(
        **{name: getattr(draft, name) for name in draft.__slots__ if name != "slots"},
        slots=(Slot("a", 0.9, False), Slot("", 0.1, True)),
    )
    assert "a░" in canvas(watched).renderables[0].plain
    assert summary(draft).plain == "3 tokens in 2 steps (1.5 per step), 4 ms, confidence 0.50, cut by the deadline"
    assert summary(replace(draft, text="")).plain.startswith("nothing is suggested here: 3 tokens")
    assert in_place("x\ny = ", "1", "\nz").plain == "x\ny = 1\nz"


def test_where_nothing_is_suggested_the_reason_is_said():
    draft = Draft("", final=True, confidence=0.5, steps=2, tokens=3, elapsed_ms=4.2)
    kept_back = summary(replace(draft, filtered=("already_there",))).plain
    assert kept_back.startswith("nothing is suggested here (stood behind the cursor already): 3 tokens")
    unsure = summary(replace(draft, unlikely=True)).plain
    assert unsure.startswith("nothing is suggested here (the model is not sure enough): 3 tokens")
    assert "(" not in summary(replace(draft, text="x", filtered=("whitespace",))).plain.partition(" steps")[0]


@given(st.binary(min_size=1).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_the_name_of_any_file_may_stand_in_a_request(name):
    path = os.fsdecode(name)
    request = FillRequest(as_text(path), "", "", path=as_text(path))
    assert request.path == path or not is_encodable(path)


def test_a_verify_pass_shows_what_is_kept_of_a_draft():
    slots = (Slot("as", 1.0, False), Slot(" f", 1.0, False), Slot(":\n", 0.0, False))
    (line, *_) = canvas(Draft("as f", False, 0.5, 3, 2, 1.0, kind="verify", slots=slots)).renderables
    assert line.plain.endswith("2 of 3 kept  as f:↵")
    assert [span.style for span in line.spans if line.plain[span.start : span.end] == ":↵"] == ["red strike"]
