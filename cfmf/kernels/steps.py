"""A step of stochastic gradient descent in vector registers, with every rounding fixed.

Written out as vectors because a compiler does not know that the two rows are apart nor how long
they are, and so takes the columns after the last 32 one by one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

from cfmf.kernels.lanes import LANES, fused, generated, row_pointer, splat

LINE = 64  # bytes that a processor moves at once
INDEX = ir.IntType(32)


@generated
def move_pair(  # type: ignore[no-untyped-def]
    typing, left, row, right, other, k, move, user_keep, user_bias_keep, item_keep, item_bias_keep
):
    """Move the rows p = [U | b | 1 | 0] of `left` and q = [V | 1 | c | 0] of `right` at once.

    The factors become keep · (p + move · q) and keep · (q + move · p), with the row's own keep, and
    so do the biases in columns k of p and k + 1 of q, with theirs; the ones stay. Both arrays are
    C-contiguous and of one float type, and their number of columns is a multiple of 8.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        pointers = [
            row_pointer(context, builder, signature.args[at], arguments[at], arguments[at + 1])
            for at in (0, 2)
        ]
        held = arrayobj.make_array(left)(context, builder, arguments[0])
        columns = cgutils.unpack_tuple(builder, held.shape)[1]
        k, move = arguments[4], arguments[5]
        lane = _Lanes(builder, context.get_value_type(left.dtype), pointers)
        moves = splat(builder, move)
        keeps = [splat(builder, keep) for keep in arguments[6:]]
        whole = builder.and_(k, k.type(-LANES))
        zero, step = k.type(0), k.type(LANES)
        with cgutils.for_range_slice(builder, zero, whole, step) as (at, _):
            lane.store(at, lane.moved(at, moves, keeps[0], keeps[2]))
        with cgutils.for_range_slice(builder, whole, columns, step) as (at, _):
            first, second = (lane.number(at, builder.add(k, k.type(more))) for more in (0, 1))
            user_keep = builder.select(first, keeps[1], keeps[0])
            item_keep = builder.select(second, keeps[3], keeps[2])
            p, q = lane.moved(at, moves, user_keep, item_keep)
            one = lane.constant(1.0)
            lane.store(at, (builder.select(second, one, p), builder.select(first, one, q)))
        return context.get_dummy_value()

    numbers = (left.dtype,) * 5
    return types.void(left, types.intp, right, types.intp, types.intp, *numbers), generate


@generated
def prefetch_row(typing, array, row):  # type: ignore[no-untyped-def]
    """Ask for a row of a C-contiguous array of two dimensions, to be changed soon."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = signature.args[0]
        held = arrayobj.make_array(kind)(context, builder, arguments[0])
        size = cgutils.unpack_tuple(builder, held.strides)[0]
        text = ir.IntType(8).as_pointer()
        start = builder.bitcast(row_pointer(context, builder, kind, *arguments), text)
        wanted = ir.FunctionType(ir.VoidType(), [text, *[INDEX] * 3])
        fetch = cgutils.get_or_insert_function(builder.module, wanted, "llvm.prefetch.p0")
        with cgutils.for_range_slice(builder, size.type(0), size, size.type(LINE)) as (at, _):
            # to write, into the first cache, data
            builder.call(fetch, [builder.gep(start, [at]), INDEX(1), INDEX(3), INDEX(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


class _Lanes:
    """Vectors of `LANES` columns of the rows p and q."""

    def __init__(self, builder: Any, number: Any, pointers: list[Any]) -> None:
        self.builder, self.pointers = builder, pointers
        self.kind = ir.VectorType(number, LANES)
        self.align = 4 if isinstance(number, ir.FloatType) else 8

    def constant(self, value: float) -> Any:
        """A vector of one constant."""
        return ir.Constant(self.kind, [value] * LANES)

    def number(self, at: Any, column: Any) -> Any:
        """Which lane of the vector that starts at column `at` is this column."""
        lanes = ir.Constant(ir.VectorType(at.type, LANES), list(range(LANES)))
        wanted = splat(self.builder, self.builder.sub(column, at))
        return self.builder.icmp_signed("==", lanes, wanted)

    def places(self, at: Any) -> list[Any]:
        """Where the two vectors from column `at` on are."""
        return [
            self.builder.bitcast(self.builder.gep(pointer, [at]), self.kind.as_pointer())
            for pointer in self.pointers
        ]

    def moved(self, at: Any, moves: Any, user_keep: Any, item_keep: Any) -> tuple[Any, Any]:
        """What becomes of the two vectors from column `at` on."""
        p, q = (self.builder.load(place, align=self.align) for place in self.places(at))
        return (
            self.builder.fmul(user_keep, fused(self.builder, moves, q, p)),
            self.builder.fmul(item_keep, fused(self.builder, moves, p, q)),
        )

    def store(self, at: Any, values: tuple[Any, Any]) -> None:
        """Replace the two vectors from column `at` on."""
        for value, place in zip(values, self.places(at), strict=True):
            self.builder.store(value, place, align=self.align)
