"""What the kernels are written in: LLVM's instructions on vectors of one width, with loops.

An `Emitter` writes one function. Addresses are bytes: `at(base, offset)`. Floats of a function may be contracted (a
product and a sum become one instruction), and nothing else, so that equal rows give equal results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from coder_kernels.cpu.layout import ARGUMENTS

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F16, F32, POINTER, NOTHING = ir.HalfType(), ir.FloatType(), ir.PointerType(), ir.VoidType()
JOB = ir.FunctionType(NOTHING, [POINTER, I64, I64, I64])
"""A job: its arguments (eight bytes each), the first item, the last one + 1, and which thread runs it."""
FUSED = ("contract",)


class Emitter:
    """Writes one job into a module, for vectors of `lanes` floats."""

    def __init__(self, module: ir.Module, kind: str, lanes: int, which: str = "") -> None:
        """Begins the function.

        Args:
            module: where it goes.
            kind: in `layout.ARGUMENTS`; `self[argument]` is the value of one, an integer of eight bytes.
            lanes: numbers of four bytes in a vector.
            which: follows the kind in the function's name.
        """
        self.module, self.lanes = module, lanes
        self.floats, self.ints = ir.VectorType(F32, lanes), ir.VectorType(I32, lanes)
        function = ir.Function(module, JOB, kind + which)
        self.b = ir.IRBuilder(function.append_basic_block())
        self._packed, self.first, self.end, self.thread = function.args
        self._arguments = {
            argument: self.load(self.at(self._packed, self.c(8 * place)), I64)
            for place, argument in enumerate(ARGUMENTS[kind].split())
        }

    def __getitem__(self, name: str) -> Any:
        return self._arguments[name]

    def c(self, value: int) -> Any:
        """Returns an integer of eight bytes."""
        return ir.Constant(I64, value)

    def all(self, value: float, kind: Any = None) -> Any:
        """Returns a vector of one constant, of floats if no other type is named."""
        kind = kind or self.floats
        return ir.Constant(kind, [value] * kind.count)

    def pointer(self, name: str) -> Any:
        """Returns an argument as an address."""
        return self.b.inttoptr(self[name], POINTER)

    def number(self, name: str) -> Any:
        """Returns an argument whose low half is a float."""
        return self.b.bitcast(self.b.trunc(self[name], I32), F32)

    def times(self, *factors: Any) -> Any:
        """Returns the product of integers of eight bytes, constants as they are."""
        values = [self.c(factor) if isinstance(factor, int) else factor for factor in factors]
        product = values[0]
        for value in values[1:]:
            product = self.b.mul(product, value)
        return product

    def at(self, base: Any, offset: Any) -> Any:
        """Returns the address `offset` bytes behind `base`."""
        return self.b.gep(base, [self.c(offset) if isinstance(offset, int) else offset], source_etype=I8)

    def load(self, address: Any, kind: Any) -> Any:
        """Returns what stands at an address of any alignment."""
        return self.b.load(address, typ=kind, align=1)

    def store(self, value: Any, address: Any) -> None:
        """Writes a value to an address of any alignment."""
        self.b.store(value, address, align=1)

    def splat(self, value: Any) -> Any:
        """Returns a vector of copies of a number of four bytes."""
        kind = ir.VectorType(value.type, self.lanes)
        one = self.b.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
        where = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(one, ir.Constant(kind, ir.Undefined), where)

    def load_splat(self, name: str, index: Any, kind: Any = F32) -> Any:
        """Returns a vector of copies of one of the numbers of four bytes at an argument."""
        return self.splat(self.load(self.at(self.pointer(name), self.times(index, 4)), kind))

    def intrinsic(self, name: str, result: Any, *values: Any) -> Any:
        """Returns what one of LLVM's own functions makes of values."""
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(result, [value.type for value in values]), name)
        return self.b.call(function, values)

    @contextmanager
    def loop(self, end: Any, start: Any = 0, step: int = 1) -> Iterator[Any]:
        """Repeats what is written inside for integers from `start` to below `end`."""
        start, end = (self.c(bound) if isinstance(bound, int) else bound for bound in (start, end))
        before = self.b.block
        test, body, behind = (self.b.append_basic_block() for _ in range(3))
        self.b.branch(test)
        self.b.position_at_end(test)
        index = self.b.phi(I64)
        index.add_incoming(start, before)
        self.b.cbranch(self.b.icmp_signed("<", index, end), body, behind)
        self.b.position_at_end(body)
        yield index
        index.add_incoming(self.b.add(index, self.c(step)), self.b.block)
        self.b.branch(test)
        self.b.position_at_end(behind)

    def room(self, vectors: int) -> Any:
        """Returns the address of room on the stack for vectors of four-byte numbers."""
        with self.b.goto_entry_block():
            return self.b.inttoptr(self.b.ptrtoint(self.b.alloca(self.ints, vectors), I64), POINTER)

    def variable(self, first: Any) -> Variable:
        """Returns a place for values of one type; LLVM keeps it in a register."""
        return Variable(self, first)

    def add(self, a: Any, b: Any) -> Any:
        """Returns the sum of floats."""
        return self.b.fadd(a, b, flags=FUSED)

    def mul(self, a: Any, b: Any) -> Any:
        """Returns the product of floats."""
        return self.b.fmul(a, b, flags=FUSED)

    def larger(self, a: Any, b: Any) -> Any:
        """Returns the larger of floats, NaN where one is."""
        return self.intrinsic(f"llvm.maximum.{_name(a.type)}", a.type, a, b)

    def absolute(self, a: Any) -> Any:
        """Returns floats without their signs."""
        return self.intrinsic(f"llvm.fabs.{_name(a.type)}", a.type, a)

    def across(self, vector: Any, combine: Callable[[Any, Any], Any]) -> Any:
        """Returns one number: halves of a vector are combined until one is left, always in the same order."""
        width = self.lanes
        while width > 1:
            width //= 2
            halves = [list(range(width)), list(range(width, 2 * width))]
            low, high = (
                self.b.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(I32, width), half)) for half in halves
            )
            vector = combine(low, high)
        return self.b.extract_element(vector, ir.Constant(I32, 0))

    def shortened(self, x: Any) -> Any:
        """Returns floats as bfloat16, to the nearest, of two to the even one; a NaN stays one."""
        bits = self.b.bitcast(x, self.ints)
        even = self.b.and_(self.b.lshr(bits, self.all(16, self.ints)), self.all(1, self.ints))
        near = self.b.add(bits, self.b.add(even, self.all(0x7FFF, self.ints)))
        quiet = self.b.or_(bits, self.all(0x400000, self.ints))
        kept = self.b.select(self.b.fcmp_unordered("uno", x, x), quiet, near)
        return self.b.trunc(self.b.lshr(kept, self.all(16, self.ints)), ir.VectorType(I16, self.lanes))

    def lengthened(self, place: Any) -> Any:
        """Returns the vector of bfloat16 at an address as floats."""
        short = self.b.zext(self.load(place, ir.VectorType(I16, self.lanes)), self.ints)
        return self.b.bitcast(self.b.shl(short, self.all(16, self.ints)), self.floats)

    def inverse_root(self, squares: Any, count: Any) -> Any:
        """Returns what RMSNorm multiplies with, from the sum of so many squares; the job has an argument `epsilon`."""
        mean = self.add(self.b.fdiv(squares, self.b.sitofp(count, F32)), self.number("epsilon"))
        return self.b.fdiv(ir.Constant(F32, 1.0), self.intrinsic("llvm.sqrt.f32", F32, mean))

    def exponential(self, x: Any) -> Any:
        """Returns e^x of a vector, to 2 units in the last place; of x below -87 or above 88 as if it were that.

        x log2(e) is a whole number and a fraction in [-0.5, 0.5]; the fraction's power of two is a Taylor polynomial
        of the seventh degree in it times log(2), whose remainder is below 2^-27, and the whole number is the exponent.
        """
        kind = self.floats
        for sign, bound in ((">", 88.0), ("<", -87.0)):
            # compared, so that NaN stays
            x = self.b.select(self.b.fcmp_ordered(sign, x, self.all(bound)), self.all(bound), x)
        turns = self.mul(x, self.all(math.log2(math.e)))
        whole = self.intrinsic(f"llvm.rint.{_name(kind)}", kind, turns)
        # log(2) in two parts: the first has few digits, so that the product with it is exact
        rest = self.add(x, self.mul(whole, self.all(-0.693359375)))
        rest = self.add(rest, self.mul(whole, self.all(0.693359375 - math.log(2))))
        power = self.all(1 / math.factorial(7))
        for degree in range(6, -1, -1):
            power = self.add(self.mul(power, rest), self.all(1 / math.factorial(degree)))
        exponent = self.b.shl(self.b.fptosi(whole, self.ints), self.all(23, self.ints))
        return self.b.bitcast(self.b.add(self.b.bitcast(power, self.ints), exponent), kind)


class Variable:
    """A place for values of one type."""

    def __init__(self, emitter: Emitter, first: Any) -> None:
        self._emitter = emitter
        with emitter.b.goto_entry_block():
            self._place = emitter.b.alloca(first.type)
        self.set(first)

    def get(self) -> Any:
        """Returns the value."""
        return self._emitter.b.load(self._place, typ=self._place.allocated_type)

    def set(self, value: Any) -> None:
        """Changes the value."""
        self._emitter.b.store(value, self._place)


def _name(kind: Any) -> str:
    return f"v{kind.count}f32" if isinstance(kind, ir.VectorType) else "f32"
