"""The kernels as functions of this process, for the processor that is there: compiled once, and kept."""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite
import torch
from llvmlite import binding, ir

from coder_kernels.cpu import heads, jobs, matrices, pool, processor, products, rows
from coder_kernels.cpu.chain import Chain
from coder_kernels.cpu.code_cache import code_of
from coder_kernels.cpu.emit import JOB
from coder_kernels.cpu.layout import BITS, GROUP, STEPS
from coder_kernels.quantise import PackedGroups
from coder_kernels.tensor_types import GroupedRows

_MAKING = threading.Lock()


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


def machine(lanes: int = 0) -> Machine:
    """Returns the jobs that know no width of heads, for vectors of `lanes` floats, of 0 what the processor has."""
    lanes = lanes or processor.lanes()
    with _MAKING:
        return _machine(lanes)


@cache
def _machine(lanes: int) -> Machine:
    module = written(lanes, processor.products(), has_tiles=lanes == 16 and has_matrices())
    engine = _compiled(module)
    run, help_ = (
        ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(name))
        for name, kinds in (
            ("run", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]),
            ("help", [ctypes.c_void_p, ctypes.c_int64]),
        )
    )
    names = [function.name for function in module.functions if function.function_type is JOB]
    jobs = {name: engine.get_function_address(name) for name in names}
    return Machine(lanes, jobs, pool.Pool(run, help_, os.cpu_count() or 1), engine)


@cache
def has_matrices() -> bool:
    """Returns whether it multiplies matrices of bfloat16 (AMX), and the system lets this process do so."""
    is_there = bool(binding.get_host_cpu_features().get("amx-bf16"))
    return is_there and bool(torch.cpu._init_amx())


def written(lanes: int, by: processor.Products, has_tiles: bool) -> ir.Module:
    """Returns the jobs of a `Machine` in LLVM's instructions.

    Args:
        lanes: floats of a vector, 8 or 16.
        by: what bytes are multiplied by; with other instructions than VNNI there are eight lanes.
        has_tiles: whether products of many rows are among them, in registers of matrices.
    """
    module = ir.Module()
    for bits in BITS:
        products.write_product(module, bits, lanes, by)
    if has_tiles:
        matrices.write_widen(module)
        for bits in BITS:
            matrices.write_tall_product(module, bits)
    rows.write_round(module, lanes)
    rows.write_gate(module, lanes)
    rows.write_norm(module, lanes)
    rows.write_soften(module, lanes)
    heads.write_turn(module, lanes)
    pool.write_pool(module, is_arm=by == "neon")
    return module


@cache
def attention(width: int, shared: int, lanes: int = 0) -> tuple[int, Any]:
    """Returns the address of the attention job for heads of a width, `shared` of which have the same keys."""
    module = ir.Module()
    heads.write_attention(module, lanes or processor.lanes(), width, shared)
    engine = _compiled(module)
    return engine.get_function_address(f"attention_{width}_{shared}"), engine


def is_exact(lanes: int) -> bool:
    """Returns whether a product of the largest numbers is right, by trying it."""
    found = machine(lanes)
    n_bytes = STEPS * 4 * lanes
    scale, no_offset = torch.ones(1, 1, lanes).half(), torch.empty(0).half()
    weight = PackedGroups(torch.full((1, 1, n_bytes), 255, dtype=torch.uint8), scale, no_offset)
    offset = torch.full((1, 1), 128 * 127 * GROUP, dtype=torch.int32)
    x = GroupedRows(torch.full((1, GROUP), -127, dtype=torch.int8), torch.ones(1, 1), offset)
    out = torch.empty(1, lanes)
    Chain(found.pool, [jobs.product(found, x, weight, out)]).run()
    return bool((out == -127 * 127 * GROUP).all())


def _compiled(module: ir.Module) -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    host = binding.get_host_cpu_name()
    features = "+dotprod" if processor.is_arm() else binding.get_host_cpu_features().flatten()
    target = binding.Target.from_default_triple().create_target_machine(cpu=host, features=features, opt=3)
    key = "\n".join([llvmlite.__version__, target.triple, host, features, str(module)])
    code = code_of(key, lambda: bytes(target.emit_object(optimised(module, target))))
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def optimised(module: ir.Module, target: binding.TargetMachine) -> binding.ModuleRef:
    """Returns a module as LLVM's passes leave it for a processor."""
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    builder = binding.create_pass_builder(target, binding.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    return parsed
