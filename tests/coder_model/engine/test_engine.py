"""The whole loop on a tiny random model: what must hold for any weights."""

import copy
import itertools

import pytest
import torch

from coder_kernels.policies import POLICIES
from coder_model.decoding.token_selector import TokenSelector
from coder_model.engine.engine import DEFAULT_MODEL, Engine
from coder_model.engine.options import EngineOptions
from coder_model.engine.syntax_repair import SyntaxCheck, parsing_run
from coder_model.model import weights
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.text.filters import FILTERS
from coder_model.text.stop_rules import StopRules
from coder_model.text.syntax import errors_in
from coder_model.types import Cancelled, FillRequest, InvalidInput, Snippet

DOCUMENT = "def total(items):\n    value = 0\n    for item in items:\n        value += item\n    return value\n\n\n"
PREFIXES = [
    DOCUMENT + "def total(it",
    DOCUMENT + "def count(items):\n    ",
    DOCUMENT + "x = total(",
    "",
    "\n",
    "é = '漢😀",
]


def engine(model, tokenizer, **options):
    return Engine(model, tokenizer, "tiny", EngineOptions(**{"precision": "float32", **options}))


def last(made, prefix, suffix="\n", **more):
    *_, draft = made.fill(FillRequest("s", prefix, suffix, path="a.py", **more))
    return draft


@pytest.mark.parametrize("hole", ["line", "block"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("policy", POLICIES)
def test_verify_equals_greedy_autoregressive_decoding(model, tokenizer, policy, prefix, hole):
    greedy = last(engine(model, tokenizer, policy="one_token"), prefix, hole=hole)
    drafted = last(engine(model, tokenizer, policy=policy), prefix, hole=hole)
    assert drafted.text == greedy.text
    assert drafted.tokens == greedy.tokens
    assert drafted.confidence == pytest.approx(greedy.confidence, abs=1e-3)


def test_greedy_decoding_equals_a_loop_without_cache_or_engine(model, tokenizer):
    """The reference: run the whole sequence again for every token, take the likeliest one."""
    from coder_model.model.transformer import causally
    from coder_model.prompt import fim_prompt

    request = FillRequest("s", DOCUMENT + "x = total(", "\n", path="a.py", hole="block")
    form = fim_prompt.suffix_first(tokenizer.special_tokens)
    built = fim_prompt.build(request, tokenizer, fim_prompt.Budget.of(model.config.context_tokens), form)
    vocabulary = Vocabulary(tokenizer)
    selector = TokenSelector(vocabulary, built.heal, StopRules.of("", "", "block"), copies=None)
    ids, middle = list(built.context), []
    for _ in range(12):
        tokens = torch.tensor([ids])
        hidden = model(tokens, torch.arange(len(ids))[None], causally)
        scores = model.logits(hidden[0, -1]).masked_fill(vocabulary.forbidden, float("-inf"))
        token = selector.choose(scores.softmax(0)).token
        selector.advance(token)
        ids.append(token)
        middle.append(token)
        if selector.finished:
            break
    expected = b"".join(tokenizer.token_bytes[i] for i in middle)[len(built.heal) :].decode("utf-8", "ignore")
    *_, draft = engine(
        model, tokenizer, policy="one_token", copy=False, alternatives=0, filters_off=tuple(FILTERS)
    ).fill(request)
    shorter = min(len(draft.text), len(expected))
    assert shorter > 0
    assert draft.text[:shorter] == expected[:shorter]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_text_goes_on_with_the_word_under_the_cursor(model, tokenizer, prefix):
    """Healing: prefix + text begins with prefix, token by token, whatever the model says."""
    draft = last(engine(model, tokenizer), prefix, hole="block")
    assert tokenizer.decode(tokenizer.encode(prefix + draft.text)).startswith(prefix)
    assert "\0" not in draft.text


def test_a_line_hole_holds_one_line(model, tokenizer):
    for prefix in PREFIXES:
        assert "\n" not in last(engine(model, tokenizer), prefix).text


def test_a_kept_cache_changes_nothing(model, tokenizer):
    kept = engine(model, tokenizer)
    for n in range(len(DOCUMENT) - 12, len(DOCUMENT)):
        fresh = last(engine(model, tokenizer, reuse=False), DOCUMENT[:n], hole="block")
        assert last(kept, DOCUMENT[:n], hole="block").text == fresh.text


def test_typing_on_reads_only_what_is_new(model, tokenizer):
    made = engine(model, tokenizer)
    last(made, DOCUMENT + "value = tot")
    decoder = made._sessions["s"].strategy.sequence
    lengths = []
    passes = decoder._pass
    decoder._pass = lambda tokens, attend: lengths.append(len(tokens)) or passes(tokens, attend)
    last(made, DOCUMENT + "value = tota")
    assert lengths[0] <= 2


@pytest.mark.parametrize("typed", ["", "="])
def test_a_previous_suggestion_changes_nothing(model, tokenizer, typed):
    made = engine(model, tokenizer, copy=False, min_accepted=99.0, alternatives=0)
    last(made, DOCUMENT, hole="block")
    alone = last(
        engine(model, tokenizer, copy=False, policy="one_token", alternatives=0), DOCUMENT + typed, hole="block"
    )
    assert last(made, DOCUMENT + typed, hole="block").text == alone.text


def test_the_previous_suggestion_is_a_draft():
    """On the embedded model: the tokens of a random one are not those of its text, so that they can all be refused."""
    embedded = weights.load(DEFAULT_MODEL)
    alone = last(engine(*embedded, copy=False, policy="one_token", alternatives=0), DOCUMENT, hole="block")
    made = engine(*embedded, copy=False, min_accepted=99.0, alternatives=0)
    last(made, DOCUMENT, hole="block")
    again = last(made, DOCUMENT, hole="block")
    assert again.text == alone.text
    assert again.steps < alone.steps


@pytest.mark.parametrize("prefix", PREFIXES)
def test_several_middles_differ_and_the_likeliest_that_parses_is_first(model, tokenizer, prefix):
    draft = last(engine(model, tokenizer), prefix, count=3)
    texts = [draft.text, *(other.text for other in draft.others)]
    assert len(set(texts)) == len(texts) <= 3
    errors = [errors_in(prefix + text + "\n", "python") for text in texts]
    assert errors == sorted(errors)
    same = [d.confidence**d.tokens for d, e in zip([draft, *draft.others], errors, strict=True) if e == errors[0]]
    assert same == sorted(same, reverse=True)


def test_what_was_suggested_is_proposed_until_another_token_is_decided(tokenizer):
    selector = TokenSelector(Vocabulary(tokenizer), b"", StopRules.of("", "", "block"), None, [400, 401, 402, 403])
    selector.advance(400)
    assert selector.proposals(2) == [401, 402]
    selector.advance(9 + 400)
    assert selector.proposals(2) == []


def test_snippets_are_copied_from(model, tokenizer, monkeypatch):
    from coder_model.decoding import prompt_lookup

    monkeypatch.setattr(prompt_lookup, "WEIGHTS", tuple(0.999 for _ in prompt_lookup.WEIGHTS))
    draft = last(engine(model, tokenizer), "\n\ndef total(it", snippets=(Snippet("b.py", DOCUMENT),))
    assert draft.text == "ems):"
    assert draft.steps <= 3


def test_drafts_grow_from_the_left_and_the_last_is_final(model, tokenizer):
    drafts = list(engine(model, tokenizer, copy=False).fill(FillRequest("s", "a = ", "\n", hole="block"), watch=True))
    assert [d.final for d in drafts] == [False] * (len(drafts) - 1) + [True]
    assert [d.steps for d in drafts] == sorted(d.steps for d in drafts)
    assert any(slot.masked for draft in drafts for slot in draft.slots)
    verified = [d for d in drafts if d.kind == "verify"]
    # the last one may be cut: this random model ends in a loop
    for earlier, later in itertools.pairwise(verified[:-1]):
        assert later.text.startswith(earlier.text)


def test_cancel_stops_before_the_next_pass(model, tokenizer):
    steps = []
    wanted = iter([False] * 2 + [True] * 100)
    drafts = engine(model, tokenizer).fill(FillRequest("s", "a = ", "", hole="block"), lambda: next(wanted))
    with pytest.raises(Cancelled):
        steps.extend(drafts)
    assert len(steps) <= 2


def test_at_the_deadline_the_leftmost_run_is_the_answer(model, tokenizer):
    whole = last(engine(model, tokenizer), DOCUMENT, hole="block")
    cut = last(engine(model, tokenizer), DOCUMENT, hole="block", deadline_ms=0.001)
    assert not cut.finished
    assert cut.final
    assert whole.text.startswith(cut.text)


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        (["a", " = ", "b"], 3),
        (["a", " = ", "f(", "b"], 1),
        (["a = 1\n", "b = f(2,\n", "  3,\n", " 4,\n", "5,\n", "6,\n", "7"], 1),
        (["f(", "g(", "h(", "i(", "j(", "k(", "l("], 0),
        ([], 0),
    ],
)
def test_an_unfinished_middle_is_cut_where_it_parses(tokens, kept):
    syntax = SyntaxCheck("", "\n", "python")
    run = parsing_run(list(range(len(tokens))), lambda ids: "".join(tokens[i] for i in ids).rstrip(), syntax)
    assert len(run) == kept


def joint(draft):
    return draft.confidence**draft.tokens


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_is_less_likely_than_wanted_is_given_up_early(model, tokenizer, prefix):
    whole = last(engine(model, tokenizer, alternatives=0), prefix)
    at_limit = last(engine(model, tokenizer, alternatives=0), prefix, least_probability=joint(whole) * 1e-12)
    # far below: this random model says things over and over, and what is cut again has cost probability too
    assert (at_limit.text, at_limit.unlikely) == (whole.text, False)
    above = last(engine(model, tokenizer, alternatives=0), prefix, least_probability=min(0.999, joint(whole) * 1.01))
    assert (above.text, above.unlikely) == ("", True)
    assert above.steps <= whole.steps
    assert last(engine(model, tokenizer, alternatives=0), prefix, least_probability=0.999).steps <= above.steps


def test_of_an_unlikely_block_the_likely_lines_are_the_answer():
    made = engine(*weights.load(DEFAULT_MODEL))
    prefix = DOCUMENT + "def total(items):\n    "
    whole = last(made, prefix, hole="block")
    cuts = [last(made, prefix, hole="block", least_probability=least) for least in (0.9, 0.3, 0.1, 0.01, 1e-6, 1e-12)]
    for cut in cuts:
        assert whole.text.startswith(cut.text)
        assert cut.text == whole.text or cut.unlikely
        assert not cut.text or whole.text[len(cut.text) :][:1] in ("", "\n")
    assert cuts[0].text == ""
    assert any(cut.text and cut.text != whole.text for cut in cuts)


def test_damaged_weights_in_memory_are_found(model, tokenizer):
    made = engine(copy.deepcopy(model), tokenizer)
    made.warm_up()
    assert made.is_intact()
    made._model.embed_tokens.weight[:, 3] *= -1
    assert not made.is_intact()


def test_relief_halves_the_context_until_it_is_too_small_to_be_worth_it(tokenizer):
    made = Engine(*weights.load(DEFAULT_MODEL))
    last(made, DOCUMENT * 40 + "x = total(")
    assert [made.reduce_memory() for _ in range(3)] == [True, True, False]
    assert not made._sessions
    assert last(made, DOCUMENT * 40 + "x = total(").final
    assert max(len(session.strategy.sequence.tokens) for session in made._sessions.values()) <= 256


@pytest.mark.parametrize("policy", POLICIES)
def test_without_verify_the_denoised_block_is_taken(model, tokenizer, policy):
    made = engine(model, tokenizer, policy=policy, verify=False, max_steps=3)
    drafts = list(made.fill(FillRequest("s", DOCUMENT, "\n", hole="block"), watch=True))
    assert drafts[-1].final
    assert {d.kind for d in drafts} >= {"denoise", "remask"}


def test_a_copied_run_takes_one_step(tokenizer, model):
    """With full trust in copies the second body is read off the first one."""
    from coder_model.decoding import prompt_lookup

    trusted = tuple(0.999 for _ in prompt_lookup.WEIGHTS)
    original, prompt_lookup.WEIGHTS = prompt_lookup.WEIGHTS, trusted
    try:
        draft = last(engine(model, tokenizer), DOCUMENT + "def total(items):\n    value = 0\n    for")
    finally:
        prompt_lookup.WEIGHTS = original
    assert draft.text == " item in items:"
    assert draft.steps <= 2


def test_a_blank_line_is_the_answer_only_when_the_model_is_sure_of_it(tokenizer):
    vocabulary = Vocabulary(tokenizer)
    blank, text = (vocabulary.bytes.index(data) for data in (b"\n\n", b"\n    "))
    for chance, expected in ((0.85, text), (0.95, vocabulary.eom)):
        selector = TokenSelector(vocabulary, b"\n", StopRules.of("x\n", "\n", "line"), None)
        p = torch.zeros(tokenizer.vocab_size)
        p[blank], p[text] = chance, 1 - chance
        assert selector.choose(p).token == expected


def test_at_the_start_of_a_line_with_text_the_middle_is_a_line_of_its_own(model, tokenizer):
    # a random model says things over and over, which is filtered out at the end of a text and not before a line end
    made = engine(model, tokenizer, filters_off=tuple(FILTERS), alternatives=0)
    before_text = last(made, DOCUMENT, "    return 1\n").text
    assert before_text == last(made, DOCUMENT, "\n    return 1\n").text + "\n"
    assert not last(made, DOCUMENT + "    ", "return 1\n").text.endswith("\n")


def test_what_the_next_line_says_is_filtered_and_counted(model, tokenizer, monkeypatch):
    from coder_model.decoding import prompt_lookup

    monkeypatch.setattr(prompt_lookup, "WEIGHTS", tuple(0.999 for _ in prompt_lookup.WEIGHTS))
    draft = last(engine(model, tokenizer, alternatives=0), "\n\ndef total(it", "\n" + DOCUMENT)
    assert (draft.text, draft.filtered) == ("", ("already_there",))
    draft = last(engine(model, tokenizer, filters_off=("already_there",)), "\n\ndef total(it", "\n" + DOCUMENT)
    assert (draft.text, draft.filtered) == ("ems):", ())


def test_of_what_is_there_already_the_next_likely_middle_is_the_answer():
    made, alone = (engine(*weights.load(DEFAULT_MODEL), alternatives=n) for n in (3, 0))
    prefix, suffix = (
        DOCUMENT + "def count(items):\n    value = 0\n    for item in items:\n        ",
        "\n        value += item\n",
    )
    same, other = last(alone, prefix, suffix), last(made, prefix, suffix)
    assert (same.text, same.filtered) == ("", ("already_there",))
    assert other.text.strip() not in ("", "value += item")


def test_old_sessions_make_room(model, tokenizer):
    made = engine(model, tokenizer, sessions=2)
    for name in "abc":
        list(made.fill(FillRequest(name, "x", "")))
    assert list(made._sessions) == ["b", "c"]


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "best"},
        {"max_steps": -1},
        {"refresh_every": 0},
        {"block_length": 1},
        {"k": 0},
        {"threshold": 1.5},
        {"factor": -0.1},
        {"entropy_bound": -1},
        {"alternatives": -1},
        {"min_accepted": -1},
        {"remask_below": 2},
        {"sessions": 0},
        {"sync_interval": 0},
        {"max_concurrent": -1},
        {"min_copy": -1},
        {"precision": "int3"},
        {"filters_off": ("all",)},
    ],
)
def test_a_wrong_option_is_named(options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        EngineOptions.of(options)
