"""Whether this processor, this system and what is installed can run the machine code: asked before any is made.

Knows llvmlite only by trying to import it: there is none for some systems, and without it int8 by rows remains.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import platform
import sys
from functools import cache
from typing import Literal

LOGGER = logging.getLogger(__name__)
Products = Literal["vnni", "avx2", "neon"]
"""By which instructions bytes are multiplied: see `products.py`."""
_WIDE, _NARROW = {"avx512f", "avx512bw", "avx512vl", "avx512vnni"}, {"avx2", "fma", "f16c"}
_X86, _ARM = ("x86_64", "amd64"), ("arm64", "aarch64")
_HWCAP, _DOTS = 16, 1 << 20
"""Linux's AT_HWCAP and HWCAP_ASIMDDP, for `getauxval`."""


@cache
def lanes() -> int:
    """Returns how many floats this processor's vectors hold, 0 where the machine code cannot run.

    That is so without AVX2, on ARM without dot products of bytes. Where they are there, but llvmlite is missing or of
    no use, memory must not be executed, or a product is wrong, a warning says which.
    """
    if platform.machine().lower() not in _X86 + _ARM:
        return 0
    width, reason = 0, ""
    try:
        width = _lanes_by_name()
        if width and not may_execute():
            reason = "this system lets no process execute code that it makes"
        elif width:
            from coder_kernels.cpu import compiled

            reason = "" if compiled.is_exact(width) else "its products are wrong"
    # llvmlite is missing, or is one whose interface or LLVM is another
    except (ImportError, OSError, RuntimeError, AttributeError, TypeError) as error:
        reason = f"llvmlite cannot be used ({' '.join(str(error).split())[:200]})"
    if reason:
        LOGGER.warning("no products of weights in groups on this processor: %s; other weights are used", reason)
        return 0
    return width


def _lanes_by_name() -> int:
    """Lanes by what the processor says that it has."""
    if is_arm():
        # two vectors of four
        return 8 if _has_arm_dots() else 0
    there = _features()
    return 16 if there >= _WIDE else 8 if there >= _NARROW else 0


def products() -> Products:
    """Returns by what this processor multiplies bytes, where it does: `lanes` says so."""
    if is_arm():
        return "neon"
    there = _features()
    return "vnni" if there >= _WIDE or "avxvnni" in there else "avx2"


def is_arm() -> bool:
    """Returns whether this is ARM with 64 bits."""
    return platform.machine().lower() in _ARM


def _has_arm_dots() -> bool:
    """Whether ARM multiplies four bytes and adds them up at once: each of Apple's does; LLVM does not look."""
    if sys.platform == "linux":
        ask = ctypes.CDLL(None).getauxval
        ask.argtypes, ask.restype = (ctypes.c_ulong,), ctypes.c_ulong
        return bool(ask(_HWCAP) & _DOTS)
    return sys.platform == "darwin"


def _features() -> set[str]:
    from llvmlite import binding

    return {name for name, is_there in binding.get_host_cpu_features().items() if is_there}


def may_execute() -> bool:
    """Returns whether memory that was written may be executed; LLVM ends the process, or crashes, where it may not."""
    if sys.platform == "win32":
        return True
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as memory:
        memory[0] = 0xC3
        view = ctypes.c_char.from_buffer(memory)
        is_allowed = bool(protect(ctypes.addressof(view), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) == 0)
        # closing it asks that nobody looks at it
        del view
    return is_allowed
