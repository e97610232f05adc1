"""Inner products whose every rounding is fixed, at the speed of vector registers.

A compiler may not reorder the additions of a float sum, and so cannot keep partial sums in a vector
register, unless `fastmath` permits any order. But then the compiler chooses the order each time:
the process that compiled a parallel function got other last digits than those that loaded it from
numba's disk cache. Here the order is fixed instead: `LANES` partial sums of fused multiply-adds,
whose halves are added until one is left. Results depend neither on the process nor on the number of
threads.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

LANES = 8
HALF = LANES // 2

generated: Any = intrinsic  # numba calls what it makes without its first argument


@generated
def inner_product(typing, left, row, right, other, length):  # type: ignore[no-untyped-def]
    """Σ_j left[row, j] · right[other, j] for j below `length`, a multiple of 4.

    Both are C-contiguous and 2-dimensional, of one float type.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        pointers = [
            row_pointer(context, builder, signature.args[at], arguments[at], arguments[at + 1])
            for at in (0, 2)
        ]
        (total,) = fused_sums(context, builder, left.dtype, pointers, [(0, 1)], arguments[4])
        return total

    return left.dtype(left, types.intp, right, types.intp, types.intp), generate


@generated
def inner_products_2_4(typing, rows, a, b, length):  # type: ignore[no-untyped-def]
    """Inner products of rows a and a + 1 with rows b … b + 3: what registers hold at once.

    The four of row a come first. `length` and `rows` are as in `inner_product`.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array, first, second, stop = arguments
        places = [builder.add(first, first.type(step)) for step in range(2)]
        places += [builder.add(second, second.type(step)) for step in range(4)]
        pointers = [row_pointer(context, builder, rows, array, place) for place in places]
        pairs = [(left, right) for left in (0, 1) for right in range(2, 6)]
        sums = fused_sums(context, builder, rows.dtype, pointers, pairs, stop)
        return context.make_tuple(builder, signature.return_type, sums)

    result = types.UniTuple(rows.dtype, 8)
    return result(rows, types.intp, types.intp, types.intp), generate


def row_pointer(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    """Pointer to the first entry of a row."""
    if not (isinstance(kind, types.Array) and kind.ndim == 2 and kind.layout == "C"):
        raise TypeError(f"{kind} is not a C-contiguous array of two dimensions")
    held = arrayobj.make_array(kind)(context, builder, array)
    places = [row, context.get_constant(types.intp, 0)]
    return cgutils.get_item_pointer(context, builder, kind, held, places, wraparound=False)


def fused_sums(
    context: Any,
    builder: Any,
    kind: Any,
    pointers: list[Any],
    pairs: list[tuple[int, int]],
    length: Any,
) -> list[Any]:
    """Generate the inner products of pairs of rows, by their numbers in `pointers`."""
    number = context.get_value_type(kind)
    wide, narrow = ir.VectorType(number, LANES), ir.VectorType(number, HALF)
    nothing = ir.Constant(wide, [0.0] * LANES)
    sums = [cgutils.alloca_once_value(builder, nothing) for _ in pairs]
    widened = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES)))
    zeros = ir.Constant(narrow, [0.0] * HALF)

    def add(start: Any, width: Any) -> None:
        loaded = []
        for pointer in pointers:
            place = builder.bitcast(builder.gep(pointer, [start]), width.as_pointer())
            values = builder.load(place, align=kind.bitwidth // 8)
            if width is narrow:
                values = builder.shuffle_vector(values, zeros, widened)
            loaded.append(values)
        for total, (left, right) in zip(sums, pairs, strict=True):
            builder.store(fused(builder, loaded[left], loaded[right], builder.load(total)), total)

    whole = builder.and_(length, length.type(-LANES))
    with cgutils.for_range_slice(builder, length.type(0), whole, length.type(LANES)) as (at, _):
        add(at, wide)
    rest = builder.icmp_signed("<", whole, length)
    with builder.if_then(rest):
        add(whole, narrow)
    return [added_up(builder, builder.load(total)) for total in sums]


def fused(builder: Any, one: Any, other: Any, more: Any) -> Any:
    """What one · other + more of vectors is, rounded once."""
    kind = one.type
    bits = 32 if isinstance(kind.element, ir.FloatType) else 64
    name = f"llvm.fma.v{kind.count}f{bits}"
    wanted = ir.FunctionType(kind, [kind] * 3)
    return builder.call(
        cgutils.get_or_insert_function(builder.module, wanted, name), [one, other, more]
    )


def added_up(builder: Any, values: Any) -> Any:
    """Sum of a vector's entries: its halves are added until one is left."""
    index = ir.IntType(32)
    size = values.type.count
    while size > 1:
        size //= 2
        halves = [
            ir.Constant(ir.VectorType(index, size), list(range(start, start + size)))
            for start in (0, size)
        ]
        low, high = (builder.shuffle_vector(values, values, half) for half in halves)
        values = builder.fadd(low, high)
    return builder.extract_element(values, index(0))
