"""Where the machine code may run, what is made for which processor, and what happens where it may not."""

import logging
import platform
import re
import subprocess
import sys

import pytest
import torch

from coder_kernels import ops, packing
from coder_kernels.cpu import grouped, processor

binding = pytest.importorskip("llvmlite.binding")
compiled = pytest.importorskip("coder_kernels.cpu.compiled")
heads = pytest.importorskip("coder_kernels.cpu.heads")
PLAIN = ["haswell", "skylake", "znver1", "znver3"]
ARM = ["apple-m1", "apple-m4", "neoverse-n1", "cortex-x1"]
NARROW = ["alderlake", "meteorlake", "lunarlake", "sierraforest"]
WIDE = ["cascadelake", "icelake-client", "sapphirerapids", "znver4", "znver5"]
REFUSE_EXECUTION = 65, 1
"""Linux's PR_SET_MDWE and PR_MDWE_REFUSE_EXEC_GAIN: what systemd's MemoryDenyWriteExecute asks for."""


class Features(dict):
    """What llvmlite says of a processor."""

    def flatten(self):
        return ",".join(f"{'+' if is_there else '-'}{name}" for name, is_there in sorted(self.items()))


@pytest.fixture
def processor_of(monkeypatch):
    """Makes this process believe that it has another processor, or that the memory is another one's."""

    def become(name=None, without=()):
        real = binding.get_host_cpu_features()
        kept = {feature: is_there and not feature.startswith(without) for feature, is_there in real.items()}
        monkeypatch.setattr(binding, "get_host_cpu_features", lambda: Features(kept) if without else real)
        if name:
            monkeypatch.setattr(binding, "get_host_cpu_name", lambda: name)
        forget()

    yield become
    monkeypatch.undo()
    forget()


def forget():
    for cached in (processor.lanes, compiled._machine, compiled.attention, compiled.has_matrices):
        cached.cache_clear()


def assembly(cpu, triple="x86_64-unknown-linux-gnu"):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target, lanes = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3), 16 if cpu in WIDE else 8
    by = "avx2" if cpu in PLAIN else "neon" if cpu in ARM else "vnni"
    module = compiled.written(lanes, by, has_tiles=cpu == "sapphirerapids")
    heads.write_attention(module, lanes, 64, 7)
    return target.emit_assembly(compiled.optimised(module, target))


def calls_in(found):
    """Functions of a library: they would have to be found when the code is loaded."""
    return re.findall(r"call\w*\s+[A-Za-z_]\w*|^\s+bl\s+\w+|mem(?:set|cpy|move)|bzero", found, re.MULTILINE)


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc"])
@pytest.mark.parametrize("cpu", PLAIN + NARROW + WIDE)
def test_the_code_for_a_processor_has_its_products_and_calls_nobody(cpu, triple):
    found = assembly(cpu, triple)
    assert ("vpdpbusd" in found) == (cpu not in PLAIN)
    assert ("vpmaddubsw" in found) == (cpu in PLAIN)
    assert not calls_in(found)


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "arm64-apple-darwin"])
@pytest.mark.parametrize("cpu", ARM)
def test_the_code_for_arm_has_its_products_and_calls_nobody(cpu, triple):
    found = assembly(cpu, triple)
    assert "sdot" in found
    assert not calls_in(found)


@pytest.mark.parametrize("cpu", PLAIN + NARROW)
def test_the_code_for_a_laptop_has_nothing_of_avx512(cpu):
    found = assembly(cpu)
    assert not re.findall(r"%(?:zmm\d+|[xy]mm(?:1[6-9]|2\d|3[01])|k[0-7])\b", found)
    assert len(re.findall(r"\{vex\}\s+vpdpbusd", found)) == len(re.findall("vpdpbusd", found))


@pytest.mark.skipif(processor.lanes() < 16, reason="this processor has no AVX512-VNNI")
@pytest.mark.parametrize("cpu", ["alderlake", "haswell"])
def test_the_code_for_a_laptop_says_what_the_wider_one_says(processor_of, cpu):
    without = "avx512", "amx", "avx10", *(["avxvnni"] if cpu == "haswell" else [])
    if cpu == "alderlake" and not binding.get_host_cpu_features().get("avxvnni"):
        pytest.skip("this processor has no AVX-VNNI")
    weights = [torch.randn(48, 96), torch.randint(-16, 16, (48, 96)).float()]
    inputs = [torch.randn(rows, 96) for rows in (1, 2, 33, 63)]
    double = torch.randn(192, 96)

    def results():
        packed, gates = [packing.pack(weight, "grouped") for weight in weights], packing.pack(double, "grouped")
        rows = [ops.quantise_rows(x, "grouped") for x in inputs]
        gated = [ops.swiglu(x, gates, torch.float32, "grouped").scale for x in rows]
        return [ops.linear(x, weight) for x in rows for weight in packed] + gated

    expected = results()
    processor_of(cpu, without)
    assert (processor.lanes(), processor.products()) == (8, "vnni" if cpu == "alderlake" else "avx2")
    for found, wanted in zip(results(), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_processor_without_avx2_has_no_lanes_and_no_warning(processor_of, caplog):
    processor_of(without=("avx2", "avx512"))
    assert not grouped.is_there()
    assert not caplog.records
    with pytest.raises(ValueError, match="this processor has no products for it"):
        packing.pack(torch.ones(16, 32), "grouped")


def test_a_processor_of_another_kind_is_not_asked(processor_of, monkeypatch, caplog):
    processor_of()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: pytest.fail("asked"))
    assert not grouped.is_there()
    assert not caplog.records


def not_understood(text):
    raise RuntimeError("another\n LLVM")


@pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")
@pytest.mark.parametrize(
    ("refuses", "warning"),
    [
        ((processor, "may_execute", lambda: False), "lets no process execute code"),
        ((compiled, "is_exact", lambda lanes: False), "its products are wrong"),
        ((binding, "parse_assembly", not_understood), "another LLVM"),
    ],
)
def test_what_cannot_run_is_said_once(processor_of, monkeypatch, caplog, refuses, warning):
    processor_of()
    monkeypatch.setattr(*refuses)
    with caplog.at_level(logging.WARNING):
        assert not grouped.is_there()
        assert not grouped.is_there()
    assert [warning in record.getMessage() for record in caplog.records] == [True]


def in_a_process(before):
    """What a process says of the machine code, and a product without it, after some lines."""
    lines = (
        before,
        "import torch",
        "from coder_kernels import ops",
        "from coder_kernels.cpu import grouped",
        "print(grouped.is_there(), float(ops.linear(torch.ones(2, 32), torch.ones(4, 32)).sum()))",
    )
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)


def test_without_llvmlite_other_weights_are_multiplied():
    done = in_a_process("import sys; sys.modules['llvmlite'] = None")
    assert done.stdout == "False 256.0\n", done.stderr
    assert done.stderr.count("llvmlite cannot be used") == 1


@pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")
def test_where_no_code_may_be_made_the_process_goes_on():
    if (
        sys.platform != "linux"
        or subprocess.run([sys.executable, "-c", refusal("raise SystemExit(failed)")]).returncode
    ):
        pytest.skip("this system cannot refuse a process to execute what it wrote")
    done = in_a_process(refusal())
    assert done.stdout == "False 256.0\n", done.stderr
    assert done.stderr.count("lets no process execute code that it makes") == 1


def test_where_no_code_may_be_made_the_worker_multiplies_without_onednn():
    # a product of one row in bfloat16 is one that oneDNN makes code for
    lines = (
        refusal("exit(7 * failed) if failed else None") if sys.platform == "linux" else "raise SystemExit(7)",
        "from coder_model.worker.threads import limit_threads",
        "limit_threads()",
        "import torch",
        "short = torch.ones(4, 896, dtype=torch.bfloat16), torch.ones(512, 896, dtype=torch.bfloat16)",
        "print(float(torch.nn.functional.linear(*short)[0, 0]))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    if done.returncode == 7:
        pytest.skip("this system cannot refuse a process to execute what it wrote")
    assert done.stdout == "896.0\n", done.stderr


def refusal(then="pass"):
    return f"import ctypes; failed = ctypes.CDLL(None).prctl{(*REFUSE_EXECUTION, 0, 0, 0)} != 0; {then}"


def test_the_embedded_model_needs_no_compiler_in_memory():
    code = (
        "import sys; from coder_model.checkpoints.open import open_single; "
        "from coder_model.types import FillRequest; "
        "engine = open_single('embedded', None, 'auto'); "
        "list(engine.fill(FillRequest('s', 'def add(a, b):\\n    return ', '\\n'))); "
        "print('llvmlite' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr
