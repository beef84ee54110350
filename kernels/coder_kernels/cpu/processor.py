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

LOGGER = logging.getLogger(__name__)
_WIDE, _NARROW = {"avx512f", "avx512bw", "avx512vl", "avx512vnni"}, {"avx2", "fma", "f16c"}


@cache
def lanes() -> int:
    """Returns how many floats this processor's vectors hold, 0 where the machine code cannot run.

    That is so without AVX2. Where it is there, but llvmlite is missing or of no use, memory must not be executed, or a
    product is wrong, a warning says which.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
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
    features = _features()
    if features >= _WIDE:
        return 16
    return 8 if features >= _NARROW else 0


def has_dots() -> bool:
    """Returns whether this processor multiplies four bytes and adds them up at once (VNNI); llvmlite must be there."""
    features = _features()
    return features >= _WIDE or "avxvnni" in features


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
