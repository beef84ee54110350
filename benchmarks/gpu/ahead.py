"""Compiles every kernel for GPUs that are not here, with the tiles they would run with.

    python benchmarks/gpu/ahead.py [--arch 80 90 100] [--few] [--output FILE]

No GPU is needed: the wheel of Triton brings the assembler. It must run without TRITON_INTERPRET, since a function that
is interpreted cannot be compiled. Prints JSON: per kernel and shape the registers, bytes spilled and of shared memory,
and the matrix instruction.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import triton
from shapes import SHAPES, Shape
from torch import Tensor
from triton.backends.compiler import GPUTarget

from coder_kernels import configs
from coder_kernels.gpu import attention, head_select, kernels, matmul, norm, rotary, unmask
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.quantise import GROUP, Quantised
from coder_kernels.tensor_types import AttentionMetadata, Blocks, Rows, Selection

TYPES = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.float8_e4m3fn: "*fp8e4nv",
    torch.int8: "*i8",
    torch.uint8: "*u8",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.bool: "*i1",
    int: "i32",
    float: "fp32",
}
MATRIX = {"tcgen05": "tcgen05.mma", "wgmma": "wgmma.mma_async", "mma": "mma.sync"}
FP8_FROM = 89
"""Compute capability."""
MODULES = (attention, head_select, norm, matmul, rotary, unmask)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of a kernel."""

    registers: int
    spilled_bytes: int
    shared_bytes: int
    matrix: str
    """`wgmma`, `mma`, `tcgen05`, or nothing."""


Call = Callable[[], object]


def calls(shape: Shape, n_rows: int, fp8: bool) -> Iterator[tuple[str, Call]]:
    """Yields a name and a call for each kernel as a pass over `n_rows` tokens of a model launches it."""

    def empty(*size: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
        return torch.empty(size, dtype=dtype, device="meta")

    def pair(kind: str, height: int, width: int) -> tuple[Any, Any]:
        x = empty(n_rows, width)
        if kind == "dense":
            return x, empty(height, width)
        if kind == "int4":
            groups = empty(height, width // GROUP, 1, dtype=torch.float16)
            return x, Quantised(empty(height, width // 2, dtype=torch.uint8), groups, groups)
        dtype = torch.int8 if "int8" in kind else torch.float8_e4m3fn
        packed = Quantised(
            empty(height, width, dtype=dtype), empty(height, 1, dtype=torch.float32), empty(0, dtype=torch.float32)
        )
        rows = Rows(empty(n_rows, width, dtype=dtype), empty(n_rows, 1, dtype=torch.float32))
        return (rows if "rows" in kind else x), packed

    eights = [torch.int8, torch.float8_e4m3fn] if fp8 else [torch.int8]
    d, width = shape.d_model, shape.head_dim
    n_all = shape.n_heads + 2 * shape.n_kv_heads
    kinds = ["dense", "int4", "int8", "int8 rows"] + (["fp8", "fp8 rows"] if fp8 else [])
    forbidden = empty(shape.vocab_size, dtype=torch.bool)
    for kind in kinds:
        yield f"linear {kind}", lambda kind=kind: kernels.linear(*pair(kind, n_all * width, d))  # type: ignore[misc]
        yield (
            f"swiglu {kind}",
            lambda kind=kind: kernels.swiglu(*pair(kind, 2 * shape.d_ff, d), torch.bfloat16),  # type: ignore[misc]
        )
        yield (
            f"head_select {kind}",
            lambda kind=kind: kernels.head_select(*pair(kind, shape.vocab_size, d), forbidden),  # type: ignore[misc]
        )
    parts, stream = empty(4, n_rows, d, dtype=torch.float32), empty(n_rows, d, dtype=torch.float32)
    yield "add_rms_norm", lambda: kernels.add_rms_norm(parts, stream, empty(d), 1e-6)
    for eight in eights:
        yield f"add_rms_norm {eight}", lambda e=eight: kernels.add_rms_norm(parts, stream, empty(d), 1e-6, e)  # type: ignore[misc]
        yield f"quantise_rows {eight}", lambda e=eight: kernels.quantise_rows(empty(n_rows, shape.d_ff), e)  # type: ignore[misc]
    spans = AttentionMetadata(*(empty(1, dtype=torch.int32) for _ in range(3)))
    cache = empty(4, shape.n_kv_heads, 4096, width)
    tables = (empty(n_rows, width // 2, dtype=torch.float32),) * 2
    qkv = empty(4, n_rows, n_all * width, dtype=torch.float32)
    yield (
        "rotate_and_write",
        lambda: kernels.rotate_and_write_(qkv, empty(n_all * width), None, 1e-6, tables, cache, cache, spans),
    )
    q = empty(1, n_rows, shape.n_heads, width)
    for name, block_length in (("all", 0), ("causal", 1)):
        yield (
            f"block_attention {name}",
            lambda b=block_length: kernels.block_attention(q, cache, cache, spans, b, 0),  # type: ignore[misc]
        )
    eight = eights[-1]
    yield "block_attention to eight bits", lambda: kernels.block_attention(q, cache, cache, spans, 0, 0, eight)
    slots, count = empty(1, n_rows, dtype=torch.int64), empty(1, n_rows, dtype=torch.float32)
    blocks = Blocks(
        slots,
        slots,
        empty(1, n_rows, dtype=torch.bool),
        count,
        count,
        empty(1, dtype=torch.int32),
        empty(1, dtype=torch.bool),
        empty(1, dtype=torch.int32),
    )
    found = Selection(empty(n_rows, dtype=torch.int64), *(empty(n_rows, dtype=torch.float32) for _ in range(3)))
    for policy in POLICIES.values():
        yield (
            f"unmask {policy.__name__}",
            lambda p=policy: kernels.unmask_(
                blocks, found, True, Schedule(p, PolicyOptions(), 8), empty(2, shape.vocab_size, dtype=torch.bool)
            ),  # type: ignore[misc]
        )


@contextlib.contextmanager
def recording(capability: int) -> Iterator[list[tuple[Any, ...]]]:
    """Makes the kernels choose tiles for another GPU, and takes down what they would launch."""
    launches: list[tuple[Any, ...]] = []

    def note(kernel: Any, _grid: object, *arguments: object, tile: configs.Tile, **constants: object) -> None:
        launches.append((kernel, arguments, tile, constants))

    with contextlib.ExitStack() as stack:
        for module in MODULES:
            stack.enter_context(mock.patch.object(module, "launch", note))
        stack.enter_context(mock.patch.object(configs, "architecture", return_value=capability))
        configs.tile.cache_clear()
        yield launches
    configs.tile.cache_clear()


def compiled(
    kernel: Any, arguments: tuple[Any, ...], tile: configs.Tile, constants: dict[str, Any], sm: int
) -> Compiled:
    """Compiles one launch for a compute capability."""
    names = kernel.arg_names
    values = {**dict(zip(names, arguments, strict=False)), **constants}
    signature = {name: "constexpr" if name in constants else TYPES[_kind(values[name])] for name in names}
    aligned = {(at,): [["tt.divisibility", 16]] for at, name in enumerate(names) if signature[name].startswith("*")}
    constexprs = {name: values[name] for name in names if signature[name] == "constexpr"}
    source = triton.compiler.ASTSource(kernel, signature, constexprs, aligned)
    options = {"num_warps": tile.warps, "num_stages": tile.stages, "enable_fp_fusion": True}
    made = triton.compile(source, target=GPUTarget("cuda", sm, 32), options=options)
    registers, spilled = _usage(made.asm["cubin"])
    used = [name for name, instruction in MATRIX.items() if instruction in made.asm["ptx"]]
    return Compiled(registers, spilled, made.metadata.shared, used[0] if used else "")


def _kind(value: object) -> object:
    return value.dtype if isinstance(value, Tensor) else type(value)


def _usage(cubin: bytes) -> tuple[int, int]:
    """Registers per thread, and bytes of local memory: what did not fit into them."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        out = subprocess.run(
            [tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    registers, stack, local = (int(re.search(rf"{name}:(\d+)", out)[1]) for name in ("REG", "STACK", "LOCAL"))  # type: ignore[index]
    return registers, max(stack, local)


def table(architectures: list[int], few: bool) -> dict[str, dict[str, object]]:
    """Returns what became of every kernel, by `sm_90 7B 32 linear_kernel dense`."""
    found: dict[str, dict[str, object]] = {}
    cases = [("7B", 32)] if few else [("embedded", 16), ("0.5B", 32), ("7B", 32), ("7B", 128)]
    for sm in architectures:
        for name, n_rows in cases:
            for label, call in calls(SHAPES[name], n_rows, sm >= FP8_FROM):
                with recording(sm) as launches:
                    call()
                for kernel, arguments, tile, constants in launches:
                    key = f"sm_{sm} {name} {n_rows} {label}: {kernel.__name__}"
                    found[key] = asdict(compiled(kernel, arguments, tile, constants, sm))
    return found


def main() -> int:
    """Prints the table, or writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", type=int, nargs="+", default=[80, 90, 100])
    parser.add_argument("--few", action="store_true", help="at 32 tokens of the largest model alone")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    text = json.dumps({"triton": triton.__version__, "kernels": table(arguments.arch, arguments.few)}, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n", "utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
