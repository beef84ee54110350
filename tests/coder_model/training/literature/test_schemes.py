import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from coder_kernels.reference import attention
from coder_model.training.literature import schemes
from coder_model.training.masks import additive, noised_mask, noised_seen

LENGTH = 12
CUT = torch.tensor([4, 7])
STARTS = torch.tensor([[2, 5], [1, 4]])
SCHEMES = {
    "causal": (schemes.causal(), LENGTH),
    "bidirectional": (schemes.bidirectional(), LENGTH),
    "block_causal": (schemes.block_causal(4), LENGTH),
    "block_diffusion": (schemes.block_diffusion(LENGTH, 4), 2 * LENGTH),
    "block_diffusion with a shorter last block": (schemes.block_diffusion(LENGTH, 5), 2 * LENGTH),
    "prefix_causal": (schemes.prefix_causal(CUT), LENGTH),
    "eso_a_sequential": (schemes.eso_a_sequential(LENGTH, CUT), 2 * LENGTH),
    "ours": (noised_seen(STARTS, 4, LENGTH), LENGTH + 8),
}


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", SCHEMES)
def test_flex_attention_sees_what_plain_attention_sees(name):
    seen, size = SCHEMES[name]
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 2, size, 16, generator=generator) for _ in range(3))
    plain = attention(q, k, v, additive(schemes.dense(seen, 2, size, size)[:, None], torch.float32))
    flex = flex_attention(q, k, v, block_mask=schemes.block_mask(seen, 2, size))
    torch.testing.assert_close(flex, plain, atol=1e-5, rtol=1e-5)


def drawn(name, row=0):
    seen, size = SCHEMES[name]
    return ["".join("x" if see else "." for see in line) for line in schemes.dense(seen, 2, size, size)[row].tolist()]


def test_block_diffusion_is_as_the_paper_draws_it():
    small = schemes.dense(schemes.block_diffusion(4, 2), 1, 8, 8)[0]
    assert ["".join("x" if see else "." for see in line) for line in small.tolist()] == [
        "xx......",
        "xx......",
        "..xxxx..",
        "..xxxx..",
        "....xx..",
        "....xx..",
        "....xxxx",
        "....xxxx",
    ]


def test_with_blocks_of_one_token_a_noised_token_sees_itself_and_the_clean_ones_before():
    seen = schemes.dense(schemes.block_diffusion(3, 1), 1, 6, 6)[0]
    assert seen.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 1],
    ]


def test_the_clean_tokens_of_eso_lm_a_see_each_other_in_each_row_apart():
    first, second = (drawn("prefix_causal", row) for row in (0, 1))
    assert first[0] == "xxxx" + "." * 8
    assert first[5] == "xxxxxx" + "." * 6
    assert second[0] == "xxxxxxx" + "." * 5
    sequential = schemes.dense(*[SCHEMES["eso_a_sequential"][0], 2, 24, 24])
    assert torch.equal(sequential[0, :12], schemes.dense(schemes.block_diffusion(12, 1), 1, 24, 24)[0, :12])
    assert bool(sequential[0, 12:16, 12:16].all())
    assert not bool(sequential[0, 12:16, 16:].any())


def test_our_scheme_is_one_for_both_kinds_of_mask():
    whole = schemes.dense(noised_seen(STARTS, 4, LENGTH), 2, LENGTH + 8, LENGTH + 8)
    assert torch.equal(whole[:, LENGTH:], noised_mask(STARTS, 4, LENGTH))
    assert torch.equal(whole[:, :LENGTH, :LENGTH], torch.ones(2, LENGTH, LENGTH, dtype=torch.bool).tril())
    assert not bool(whole[:, :LENGTH, LENGTH:].any())


def test_queries_are_the_last_of_the_keys():
    assert torch.equal(schemes.dense(schemes.causal(), 1, 2, 5), schemes.dense(schemes.causal(), 1, 5, 5)[:, 3:])
