"""The kernels as functions of this process: compiled once, in a tenth of a second, for the processor that is there."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from llvmlite import binding, ir

from coder_kernels.cpu import heads, matrices, pool, products, rows
from coder_kernels.cpu.emit import JOB

_WIDE, _NARROW = {"avx512f", "avx512bw", "avx512vl", "avx512vnni"}, {"avx2", "fma", "f16c", "avxvnni"}


@dataclass(frozen=True)
class Machine:
    """Compiled jobs and the threads that run them."""

    lanes: int
    """Floats of a vector."""
    jobs: dict[str, int]
    """Address of each."""
    pool: pool.Pool
    _engine: Any
    """Owns the code."""


@cache
def lanes() -> int:
    """Returns how many floats this processor's vectors hold, 0 where it has no dot products of bytes (VNNI)."""
    try:
        features = {name for name, is_there in binding.get_host_cpu_features().items() if is_there}
    except RuntimeError:
        return 0
    if features >= _WIDE:
        return 16
    return 8 if features >= _NARROW else 0


@cache
def has_matrices() -> bool:
    """Returns whether it multiplies matrices of bfloat16 (AMX), and the system lets this process do so."""
    is_there = bool(binding.get_host_cpu_features().get("amx-bf16"))
    return is_there and bool(torch.cpu._init_amx())


@cache
def machine(width: int = 0) -> Machine:
    """Returns the jobs that know no width of heads, for vectors of `width` floats, of 0 what the processor has."""
    module = ir.Module()
    width = width or lanes()
    for bits in (5, 8):
        products.write_product(module, bits, width)
    if width == 16 and has_matrices():
        matrices.write_widen(module)
        for bits in (5, 8):
            matrices.write_tall_product(module, bits)
    rows.write_round(module, width)
    rows.write_gate(module, width)
    rows.write_norm(module, width)
    heads.write_turn(module, width)
    pool.write_pool(module)
    engine = _compiled(module)
    run, help_ = (
        ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(name))
        for name, kinds in (
            ("run", [ctypes.c_void_p, *[ctypes.c_int64] * 4]),
            ("help", [ctypes.c_void_p, *[ctypes.c_int64] * 2]),
        )
    )
    names = [function.name for function in module.functions if function.function_type is JOB]
    jobs = {name: engine.get_function_address(name) for name in names}
    return Machine(width, jobs, pool.Pool(run, help_, torch.get_num_threads() - 1), engine)


@cache
def attention(width: int, shared: int, vector: int = 0) -> tuple[int, Any]:
    """Returns the address of the attention job for heads of a width, `shared` of which have the same keys."""
    module = ir.Module()
    heads.write_attention(module, vector or lanes(), width, shared)
    engine = _compiled(module)
    return engine.get_function_address(f"attention_{width}_{shared}"), engine


def _compiled(module: ir.Module) -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    builder = binding.create_pass_builder(target, binding.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    engine = binding.create_mcjit_compiler(parsed, target)
    engine.finalize_object()
    return engine
