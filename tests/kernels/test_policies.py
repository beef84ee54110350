import torch
from hypothesis import given
from hypothesis import strategies as st

from coder_kernels.policies import POLICIES, PolicyOptions, Step


def step(notation, index=0, total=4):
    """`.95 [.20] .99`: confidences, decided slots in brackets; the entropy falls as the confidence rises."""
    words = notation.split()
    confidence = torch.tensor([float(w.strip("[]")) for w in words])
    masked = torch.tensor([not w.startswith("[") for w in words])
    return Step(confidence, 1 - confidence, masked, index, total)


def check(name, notation, expect, **options):
    index, total = options.pop("index", 0), options.pop("total", 4)
    revealed = POLICIES[name](step(notation, index, total), PolicyOptions(**options))
    assert " ".join("x" if r else "-" for r in revealed.tolist()) == expect


def test_threshold_reveals_what_is_sure_and_always_one():
    check("threshold", ".95 .20 .99", "x - x", factor=0.0)
    check("threshold", ".10 .20 .15", "- x -", factor=0.0)
    check("threshold", "[.99] .20 .15", "- x -", factor=0.0)


def test_the_factor_rule_reveals_several_that_are_surer_together():
    check("threshold", ".80 .80 .10", "x x -", factor=0.7, threshold=0.9)
    check("threshold", ".80 .80 .80", "x x -", factor=0.7, threshold=0.9)


def test_entropy_bound_takes_slots_while_their_sum_is_small():
    check("entropy_bound", ".99 .98 .50", "x x x", entropy_bound=0.1)
    check("entropy_bound", ".80 .70 .60", "x - -", entropy_bound=0.1)


def test_top_k_reveals_k():
    check("top_k", ".10 .20 .15 .90", "- x - x", k=2)
    check("top_k", "[.10] .20", "- x", k=2)


def test_cosine_follows_its_schedule_to_the_end():
    check("cosine", ".9 .8 .7 .6", "x - - -", index=0, total=3)
    check("cosine", "[.9] .8 .7 .6", "- x - -", index=1, total=3)
    check("cosine", "[.9] [.8] .7 .6", "- - x x", index=2, total=3)


@given(st.lists(st.tuples(st.floats(0.001, 1), st.floats(0, 9), st.booleans()), min_size=1, max_size=33), st.data())
def test_every_policy_reveals_a_subset_that_is_empty_only_when_nothing_is_masked(slots, data):
    confidence, entropy, masked = (torch.tensor(column) for column in zip(*slots, strict=True))
    total = data.draw(st.integers(1, 9))
    at = Step(confidence, entropy, masked, data.draw(st.integers(0, total - 1)), total)
    for policy in POLICIES.values():
        revealed = policy(at, PolicyOptions(data.draw(st.floats(0.01, 1)), data.draw(st.floats(0, 2))))
        assert not (revealed & ~masked).any()
        assert bool(revealed.any()) == bool(masked.any())
