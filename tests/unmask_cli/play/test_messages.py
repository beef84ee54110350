from dataclasses import asdict

import msgspec
import pytest

from coder_model.engine.options import EngineOptions
from coder_model.types import Decoding, Draft, InvalidInput, Slot
from unmask_cli.play.messages import AskFill, Controls, draft_values, read


def test_the_controls_are_the_fields_of_a_decoding():
    assert {field.name for field in msgspec.structs.fields(Controls)} == set(asdict(Decoding()))
    known = {field.name for field in msgspec.structs.fields(EngineOptions)}
    assert set(asdict(Decoding())) - {"frugal"} <= known


def test_a_block_of_one_slot_is_the_models_own():
    assert Controls(block_length=1).decoding().block_length == 0
    assert Controls(block_length=2).decoding().block_length == 2


def test_a_fill_is_read_with_what_the_page_leaves_out():
    assert read('{"type": "fill", "id": 3, "prefix": "a", "suffix": "b"}') == AskFill(3, "a", "b")


def test_an_error_quotes_no_text():
    with pytest.raises(InvalidInput) as error:
        read('{"type": "fill", "id": 3, "prefix": "a secret", "suffix": 7}')
    assert "secret" not in str(error.value)
    assert "suffix" in str(error.value)


def test_a_masked_slot_has_no_text():
    draft = Draft(
        "a", False, 0.5, 2, 1, 3.0, kind="denoise", given=1, slots=(Slot("a", 0.9, False), Slot("", 0.25, True)),
        decided=(Slot("a", 0.9, False),),
    )  # fmt: skip
    values = draft_values(draft)
    assert values["slots"] == [("a", 0.9), (None, 0.25)]
    assert values["decided"] == [("a", 0.9)]
    assert (values["given"], values["ms"], values["kind"]) == (1, 3.0, "denoise")
