"""Every Triton kernel against its plain reference in float64."""

import pytest
import torch

from coder_kernels import ops, reference
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.quantise import PRECISIONS, Quantised, dequantise, quantise
from coder_kernels.tensor_types import AttentionMetadata, Blocks, Rows, Selection

pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # both sides of a `where` are computed; numpy speaks of the side that is not taken
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]
FLOATS = [torch.float32, torch.bfloat16]
NEAR = {torch.float32: 1e-5, torch.bfloat16: 8e-3, torch.float16: 2e-3}
"""Norm-relative error that each format allows."""
EIGHT = 1e-3 if torch.cuda.is_available() else 1e-5
"""Of a product in fp8 on both sides: Hopper adds it up in 14 bits."""


def drawn(*shape, seed=0, dtype=torch.float32, spread=1.0):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread).to(dtype)


def assert_near(found, expected, tolerance):
    found, expected = found.double(), expected.double()
    assert found.shape == expected.shape
    assert not found.isnan().any()
    assert float((found - expected).norm() / expected.norm().clamp(min=1e-12)) <= tolerance


def as_double(x):
    if isinstance(x, Quantised):
        return dequantise(x, torch.float64)
    return x.values.double() * x.scale.double() if isinstance(x, Rows) else x.double()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("n_parts", "n_rows", "width", "adds"), [(1, 3, 48, True), (3, 5, 96, True), (1, 1, 257, False)]
)
def test_add_rms_norm(gpu, dtype, n_parts, n_rows, width, adds):
    parts, weight = drawn(n_parts, n_rows, width), drawn(width, seed=1, dtype=dtype)
    residual = drawn(n_rows, width, seed=2) if adds else None
    normal, total = gpu.add_rms_norm(parts, residual, weight, 1e-6)
    expected, sums = reference.add_rms_norm(
        parts.double(), None if residual is None else residual.double(), weight.double(), 1e-6
    )
    assert normal.dtype == dtype
    assert_near(normal, expected, NEAR[dtype])
    assert_near(total, sums, 1e-6)


@pytest.mark.parametrize("activation_dtype", [torch.int8, torch.float8_e4m3fn])
def test_add_rms_norm_in_eight_bits_is_the_norm_quantised(gpu, activation_dtype):
    parts, residual, weight = drawn(2, 4, 80), drawn(4, 80, seed=1), drawn(80, seed=2)
    rows, _ = gpu.add_rms_norm(parts, residual, weight, 1e-6, activation_dtype)
    normal, _ = reference.add_rms_norm(parts.double(), residual.double(), weight.double(), 1e-6)
    expected = reference.quantise_rows(normal, activation_dtype)
    assert_near(rows.scale, expected.scale, 1e-6)
    # the last bit of the norm may round to the next of the few values
    assert float((rows.values.float() != expected.values.float()).float().mean()) < 0.01


@pytest.mark.parametrize("activation_dtype", [torch.int8, torch.float8_e4m3fn])
@pytest.mark.parametrize("dtype", FLOATS)
def test_quantise_rows(gpu, activation_dtype, dtype):
    x = drawn(3, 5000, dtype=dtype, spread=3.0)
    x[1] = 0
    rows, expected = gpu.quantise_rows(x, activation_dtype), reference.quantise_rows(x, activation_dtype)
    assert torch.equal(rows.values.float(), expected.values.float())
    assert torch.equal(rows.scale, expected.scale)


def test_a_long_residual_stream_in_bfloat16_does_not_drift(gpu):
    """48 additions whose parts all have one sign: what truncates instead of rounding loses a tenth of the sum."""
    residual = torch.full((4, 64), 1.0)
    for layer in range(48):
        part = drawn(1, 4, 64, seed=layer, dtype=torch.bfloat16).abs()
        normal, residual = gpu.add_rms_norm(part, residual, torch.ones(64, dtype=torch.bfloat16), 1e-6)
    exact = 1.0 + sum(drawn(1, 4, 64, seed=layer, dtype=torch.bfloat16).abs().double()[0] for layer in range(48))
    expected = exact * exact.square().mean(1, keepdim=True).add(1e-6).rsqrt()
    assert abs(float((normal.double() - expected).mean() / expected.mean())) < 3e-4
    assert abs(float((residual - exact).mean() / exact.mean())) < 1e-6


def operands(kind, dtype, n_rows, height, width):
    x, weight = drawn(n_rows, width, dtype=dtype), drawn(height, width, seed=1, dtype=dtype)
    if kind == "dense":
        return x, weight
    precision, _, how = kind.partition(" ")
    packed = quantise(weight, precision)
    return (reference.quantise_rows(x, packed.values.dtype) if how == "rows" else x), packed


def exactness(kind, dtype, of_bfloat16):
    if dtype == torch.bfloat16:
        return of_bfloat16
    return EIGHT if kind == "fp8 rows" else NEAR[dtype]


KINDS = ["dense", "int8", "fp8", "int4", "int8 rows", "fp8 rows"]
SHAPES = [(1, 70, 64), (5, 64, 192), (33, 130, 128), (150, 70, 64)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_rows", "height", "width"), SHAPES)
def test_linear(gpu, dtype, kind, n_rows, height, width):
    x, weight = operands(kind, dtype, n_rows, height, width)
    parts = gpu.linear(x, weight)
    assert_near(parts.sum(0), as_double(x) @ as_double(weight).T, exactness(kind, dtype, 3e-3))


def test_many_rows_in_fp8_are_multiplied_as_torch_does_it():
    x, packed = operands("fp8 rows", torch.bfloat16, 200, 96, 64)
    # the CPU of torch for GPUs has one scale for all rows
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = reference.fp8_product(Rows(*(part.to(device) for part in x)), Quantised(*(p.to(device) for p in packed)))
    assert found.dtype == torch.bfloat16
    assert_near(found.cpu(), as_double(x) @ as_double(packed).T, NEAR[torch.bfloat16])


def test_linear_cuts_a_long_row_into_parts(gpu):
    x, weight = drawn(3, 2048), drawn(70, 2048, seed=1)
    parts = gpu.linear(x, weight)
    assert len(parts) > 1
    assert_near(parts.sum(0), x.double() @ weight.double().T, 1e-5)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [5, 140])
def test_swiglu(gpu, dtype, kind, n_rows):
    x, weight = operands(kind, dtype, n_rows, 2 * 70, 128)
    expected = reference.swiglu(as_double(x), as_double(weight), torch.float64)
    assert_near(gpu.swiglu(x, weight, dtype), expected, exactness(kind, dtype, NEAR[torch.bfloat16]))


def spans_of(*triples):
    return AttentionMetadata(*(torch.tensor(part, dtype=torch.int32) for part in zip(*triples, strict=True)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("extras", [False, True])
def test_rotate_and_write(gpu, dtype, extras):
    groups, n_heads, width, capacity, length = 2, 6, 16, 24, 3
    spans = spans_of((2, 0, 3), (0, 17, 1))
    parts = drawn(2, 2 * length, (n_heads + 2 * groups) * width)
    bias = drawn((n_heads + 2 * groups) * width, seed=1, dtype=dtype) if extras else None
    norms = (drawn(width, seed=2, dtype=dtype), drawn(width, seed=3, dtype=dtype)) if extras else None
    angles = torch.arange(capacity)[:, None] * 0.3 ** torch.arange(width // 2)
    tables = angles.cos(), angles.sin()
    cache = [drawn(3, groups, capacity, width, seed=4 + i, dtype=dtype) for i in range(2)]
    exact = [part.double() for part in cache]
    q = gpu.rotate_and_write_(parts, bias, norms, 1e-6, tables, *cache, spans)
    expected = reference.rotate_and_write_(
        parts.double(),
        None if bias is None else bias.double(),
        norms and tuple(norm.double() for norm in norms),
        1e-6,
        tuple(table.double() for table in tables),
        *exact,
        spans,
    )
    assert_near(q, expected, NEAR[dtype])
    for found, wanted in zip(cache, exact, strict=True):
        assert_near(found, wanted, NEAR[dtype])
    written = torch.zeros(3, groups, capacity, width, dtype=torch.bool)
    written[2, :, :3], written[0, :, 17:20] = True, True
    before = drawn(3, groups, capacity, width, seed=4, dtype=dtype)
    assert torch.equal(cache[0][~written], before[~written])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("block_length", "window"), [(0, 0), (1, 0), (4, 0), (0, 9), (1, 9)])
@pytest.mark.parametrize(("n_heads", "groups", "length", "capacity"), [(7, 1, 5, 40), (4, 2, 20, 1100)])
def test_block_attention(gpu, dtype, block_length, window, n_heads, groups, length, capacity):
    spans = spans_of((1, capacity - length, length), (2, 3, length - 2), (0, 0, 1))
    q = drawn(3, length, n_heads, 16, dtype=dtype)
    keys, values = (drawn(4, groups, capacity, 16, seed=i, dtype=dtype) for i in (1, 2))
    # what stands behind a row's end is never read, and no number
    for row, start, count in zip(*(part.tolist() for part in spans), strict=True):
        keys[row, :, start + count :], values[row, :, start + count :] = float("nan"), float("nan")
    out = gpu.block_attention(q, keys, values, spans, block_length, window)
    expected = reference.block_attention(q.double(), keys.double(), values.double(), spans, block_length, window)
    real = torch.arange(length)[None] < spans.counts[:, None]
    assert_near(out.view(3, length, -1)[real], expected.view(3, length, -1)[real], NEAR[dtype])


@pytest.mark.parametrize("activation_dtype", [torch.int8, torch.float8_e4m3fn])
def test_block_attention_in_eight_bits_is_its_result_quantised(gpu, activation_dtype):
    spans = spans_of((0, 20, 5))
    q, keys, values = drawn(1, 5, 4, 16), drawn(1, 2, 32, 16, seed=1), drawn(1, 2, 32, 16, seed=2)
    rows = gpu.block_attention(q, keys, values, spans, 1, 0, activation_dtype)
    expected = reference.quantise_rows(reference.block_attention(q, keys, values, spans, 1, 0), activation_dtype)
    assert_near(rows.scale, expected.scale, 1e-5)
    assert_near(as_double(rows), as_double(expected), 1e-2)


def test_a_sequence_without_tokens_changes_nothing(gpu):
    spans = spans_of((0, 20, 0), (1, 20, 2))
    q, keys, values = drawn(2, 2, 4, 16), drawn(2, 2, 32, 16, seed=1), drawn(2, 2, 32, 16, seed=2)
    out = gpu.block_attention(q, keys, values, spans, 0, 0)
    assert_near(out[2:], reference.block_attention(q, keys, values, spans, 0, 0)[2:], 1e-5)
    assert not out.isnan().any()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_rows", "vocabulary"), [(1, 128), (5, 300), (17, 517)])
def test_head_select(gpu, dtype, kind, n_rows, vocabulary):
    hidden, weight = operands(kind, dtype, n_rows, vocabulary, 64)
    forbidden = torch.arange(vocabulary) % 7 == 3
    found = gpu.head_select(hidden, weight, forbidden)
    check_selection(found, (as_double(hidden) @ as_double(weight).T).masked_fill(forbidden, float("-inf")))


def check_selection(found, logits):
    expected = reference.select(logits)
    clear = expected.margin > 1e-3
    assert torch.equal(found.token[clear], expected.token[clear])
    for name in ("confidence", "margin", "entropy"):
        # probabilities are errors of the scores, which a float32 sum has
        assert float((getattr(found, name).double() - getattr(expected, name)).abs().max()) < 2e-3, name


def test_head_select_takes_many_rows_in_parts(gpu, monkeypatch):
    monkeypatch.setattr(ops, "_gpu", lambda tensor: gpu)
    sizes = []
    run = gpu.head_select
    monkeypatch.setattr(gpu, "head_select", lambda x, *more: (sizes.append(len(x)), run(x, *more))[1])
    hidden, weight = drawn(150, 16), drawn(128, 16, seed=1)
    check_selection(ops.head_select(hidden, weight), hidden.double() @ weight.double().T)
    assert sizes == [128, 22]


def test_head_select_takes_the_first_of_equal_scores(gpu):
    # whole numbers: equal rows have equal scores in whatever order they are summed up
    weight = drawn(400, 64, spread=2.0).round()
    weight[[7, 130, 399]] = 3 * weight[200]
    hidden = weight[200:201] / 8
    found = gpu.head_select(hidden, weight)
    assert found.token.tolist() == [7]
    assert found.margin.tolist() == [0.0]
    assert abs(float(found.confidence) - float(reference.head_select(hidden, weight).confidence)) < 1e-5


def test_head_select_draws_the_token_that_the_reference_draws(gpu):
    hidden, weight = drawn(6, 64), drawn(300, 64, seed=1, spread=0.2)
    seeds = torch.tensor([1, 2, 3, 1 << 40, 5, -6])
    forbidden = torch.arange(300) < 20
    found = gpu.head_select(hidden, weight, forbidden, 0.8, seeds)
    expected = reference.head_select(hidden, weight, forbidden, 0.8, seeds)
    greedy = reference.head_select(hidden, weight, forbidden)
    assert torch.equal(found.token, expected.token)
    assert not torch.equal(found.token, greedy.token)
    assert_near(found.confidence, expected.confidence, 1e-4)
    assert_near(found.margin, greedy.margin, 1e-4)


def test_drawn_tokens_follow_the_distribution():
    logits = torch.tensor([0.5, 0.0, -1.0, 2.0])
    noisy = logits + reference.gumbel(torch.arange(20_000), 4)
    shares = torch.bincount(noisy.argmax(dim=1), minlength=4) / 20_000
    assert float((shares - logits.softmax(0)).abs().max()) < 0.01


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_seen_in_their_row_alone(gpu, broken):
    hidden, weight = drawn(4, 64), drawn(300, 64, seed=1)
    hidden[2, 5] = broken
    found = gpu.head_select(hidden, weight)
    assert found.confidence.isnan().tolist() == [False, False, True, False]
    good = [0, 1, 3]
    check_selection(Selection(*(part[good] for part in found)), (hidden.double() @ weight.double().T)[good])


def blocks_of(n_slots, seed=0):
    """Blocks at all stages: fresh, half revealed, with one mask left, finished."""
    generator = torch.Generator().manual_seed(seed)
    masked = torch.rand(5, n_slots, generator=generator) < torch.tensor([1.0, 0.6, 0.3, 0.1, 0.0])[:, None]
    masked[:, 0] = False
    masked[3, -1] = True
    tokens = torch.randint(0, 50, (5, n_slots), generator=generator).masked_fill(masked, 99)
    confidence = torch.rand(5, n_slots, generator=generator)
    active = masked.any(1)
    active[2] = False
    steps = torch.tensor([0, 1, 1, 2, 1], dtype=torch.int32)
    kinds = torch.tensor([0, 1, 0, 1, 1], dtype=torch.int32)
    return Blocks(tokens, tokens.clone(), masked, confidence, confidence.clone(), steps, active, kinds)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("n_slots", [2, 9, 16, 33])
def test_unmask(gpu, policy, shifted, n_slots):
    ends = torch.stack([torch.arange(100) % 11 == 0, torch.arange(100) == 30])
    for seed in range(4):
        found = Selection(
            torch.randint(0, 50, (5 * n_slots,)),
            torch.rand(5 * n_slots, generator=torch.Generator().manual_seed(seed)).pow(0.2),
            torch.rand(5 * n_slots),
            torch.rand(5 * n_slots) / 10,
        )
        schedule = Schedule(policy, PolicyOptions(threshold=0.95, factor=0.6, entropy_bound=0.2, k=3), 3)
        ours, plain = blocks_of(n_slots, seed), blocks_of(n_slots, seed)
        for _ in range(3):
            gpu.unmask_(ours, found, shifted, schedule, ends)
            reference.unmask_(plain, found, shifted, schedule, ends)
            for name, a, b in zip(Blocks._fields, ours, plain, strict=True):
                assert torch.equal(a, b), name


def test_a_tensor_that_does_not_fit_is_named_before_anything_is_launched():
    x, weight = drawn(3, 64), drawn(10, 64)
    cases = [
        (lambda: ops.linear(x, weight[:, :32].contiguous()), r"x must have shape \[any, 32\], got \[3, 64\]"),
        (lambda: ops.linear(x, weight.T), r"weight must be contiguous, got strides \(1, 64\)"),
        (lambda: ops.linear(x.bfloat16(), weight), r"weight must be torch.bfloat16 as x, got torch.float32"),
        (lambda: ops.linear(x.to("meta"), weight), r"weight must be on meta, got cpu"),
        (lambda: ops.quantise_rows(x, torch.float16), r"dtype must be int8 or float8_e4m3fn, got torch.float16"),
        (lambda: ops.head_select(x, weight, temperature=1.0), r"temperature must be 0, or positive with seeds"),
        (lambda: ops.head_select(x, weight, drawn(10)), r"forbidden must be torch.bool, got torch.float32"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_on_a_cpu_the_operations_are_the_reference(precision):
    x, packed = drawn(3, 64), quantise(drawn(10, 64, seed=1), precision)
    assert torch.equal(ops.linear(x, packed), reference.linear(x, packed))
