"""Inner products whose every rounding is fixed, at the speed of vector registers.

A compiler may not reorder the additions of a float sum, and so cannot keep partial sums in a vector
register, unless `fastmath` permits any order. But then the compiler chooses the order each time:
the process that compiled a parallel function got other last digits than those that loaded it from
numba's disk cache. Here the order is fixed instead: `LANES` partial sums of fused multiply-adds,
whose halves are added until one is left. Results depend neither on the process nor on the number of
threads.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

LANES = 8
HALF = LANES // 2
TAYLOR = 13
INDEX = ir.IntType(32)
TALL = 8 if get_host_cpu_features().get("avx512f") else 4
"""Rows of a tile of 16 columns that the registers hold; sums are the same whatever it is."""

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


def _tile(height: int, width: int, negative: bool = False) -> Any:
    """A function that adds to, or takes from, `height` × `width` entries what registers sum.

    To found[a + i, b + j] it adds Σ_r rows[r, a + i] · rows[r, b + j] for r below `count`, in their
    order. Both arrays are C-contiguous and 2-dimensional, of one float type.
    """

    @generated
    def add(typing, rows, count, a, b, found):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            array, stop, first, second, into = arguments
            index, align = first.type, rows.dtype.bitwidth // 8
            lanes = ir.VectorType(context.get_value_type(rows.dtype), width)

            def vector(row: Any) -> Any:
                return builder.bitcast(builder.gep(row, [second]), lanes.as_pointer())

            step = TALL * 16 // width
            for start in range(0, height, step):
                columns = [
                    builder.add(first, index(i)) for i in range(start, min(start + step, height))
                ]
                places = [
                    vector(row_pointer(context, builder, signature.args[4], into, column))
                    for column in columns
                ]
                totals = [
                    cgutils.alloca_once_value(builder, builder.load(place, align=align))
                    for place in places
                ]
                with cgutils.for_range(builder, stop) as loop:
                    row = row_pointer(context, builder, signature.args[0], array, loop.index)
                    right = builder.load(vector(row), align=align)
                    for column, total in zip(columns, totals, strict=True):
                        factor = builder.load(builder.gep(row, [column]))
                        spread = splat(builder, builder.fneg(factor) if negative else factor, width)
                        builder.store(fused(builder, spread, right, builder.load(total)), total)
                for place, total in zip(places, totals, strict=True):
                    builder.store(builder.load(total), place, align=align)
            return context.get_dummy_value()

        return types.void(rows, types.intp, types.intp, types.intp, found), generate

    return add


add_tile_8_8, add_tile_8_16, add_tile_4_16 = _tile(8, 8), _tile(8, 16), _tile(4, 16)
take_tile_8_8, take_tile_8_16, take_tile_4_16 = (
    _tile(8, 8, True),
    _tile(8, 16, True),
    _tile(4, 16, True),
)


def _elimination(height: int) -> Any:
    """A function that factorizes `height` rows of [A | h] in registers, from the diagonal on.

    The rows start with row a, from which what rows before them contribute is taken already. Of a
    pivot that is not positive it takes 1, and it returns how many of the first `count` are not.
    The diagonal becomes that of 1 / U.
    """

    @generated
    def eliminate(typing, matrix, a, count):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            array, first, count = arguments
            number = context.get_value_type(matrix.dtype)
            one = splat(builder, ir.Constant(number, 1.0))
            nothing = splat(builder, ir.Constant(number, 0.0))
            starts = [
                row_pointer(context, builder, matrix, array, builder.add(first, first.type(i)))
                for i in range(height)
            ]
            align = matrix.dtype.bitwidth // 8

            def places(at: Any) -> list[Any]:
                return [
                    builder.bitcast(builder.gep(start, [at]), one.type.as_pointer())
                    for start in starts
                ]

            rows = [builder.load(place, align=align) for place in places(first)]
            pivots, failed, factors = one, first.type(0), {}
            for i in range(height):
                pivot = _spread_lane(builder, rows[i], i)
                positive = builder.fcmp_ordered(">", pivot, nothing)
                bad = builder.not_(builder.extract_element(positive, INDEX(0)))
                bad = builder.and_(bad, builder.icmp_signed(">", count, first.type(i)))
                failed = builder.add(failed, builder.zext(bad, first.type))
                pivot = builder.select(positive, pivot, one)
                taken = builder.extract_element(pivot, INDEX(0))
                pivots = builder.insert_element(pivots, taken, INDEX(i))
                inverse = builder.fneg(builder.fdiv(one, pivot))
                for j in range(i + 1, height):
                    factors[i, j] = builder.fmul(_spread_lane(builder, rows[i], j), inverse)
                    rows[j] = fused(builder, factors[i, j], rows[i], rows[j])
            inverses = builder.fdiv(one, _called(builder, "sqrt", pivots))
            scales = [_spread_lane(builder, inverses, i) for i in range(height)]
            for i, place in enumerate(places(first)):
                row = builder.fmul(rows[i], scales[i])
                own = builder.extract_element(inverses, INDEX(i))
                builder.store(builder.insert_element(row, own, INDEX(i)), place, align=align)
            columns, step = _column_count(context, builder, matrix, array), first.type(LANES)
            start = builder.add(first, step)
            with cgutils.for_range_slice(builder, start, columns, step) as (at, _):
                rows = [builder.load(place, align=align) for place in places(at)]
                for (i, j), factor in factors.items():
                    rows[j] = fused(builder, factor, rows[i], rows[j])
                for row, scale, place in zip(rows, scales, places(at), strict=True):
                    builder.store(builder.fmul(row, scale), place, align=align)
            return failed

        return types.intp(matrix, types.intp, types.intp), generate

    return eliminate


eliminate_2, eliminate_8 = _elimination(2), _elimination(8)


@generated
def copy_row(typing, source, row, factor, into, other):  # type: ignore[no-untyped-def]
    """Put factor · source[row], a multiple of 8 columns, at the start of into[other]."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        given = row_pointer(context, builder, source, arguments[0], arguments[1])
        mine = row_pointer(context, builder, into, arguments[3], arguments[4])
        spread = splat(builder, arguments[2])

        def copy(load, store):  # type: ignore[no-untyped-def]
            store(builder.fmul(spread, load(given)), mine)

        columns = _column_count(context, builder, source, arguments[0])
        each_lanes(context, builder, source.dtype, columns, copy)
        return context.get_dummy_value()

    return types.void(source, types.intp, source.dtype, into, types.intp), generate


@generated
def add_row(typing, source, row, factor, into, other):  # type: ignore[no-untyped-def]
    """Add factor · source[row] to into[other], fused; as `copy_row` otherwise."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        given = row_pointer(context, builder, source, arguments[0], arguments[1])
        mine = row_pointer(context, builder, into, arguments[3], arguments[4])
        spread = splat(builder, arguments[2])

        def add(load, store):  # type: ignore[no-untyped-def]
            store(fused(builder, spread, load(given), load(mine)), mine)

        columns = _column_count(context, builder, source, arguments[0])
        each_lanes(context, builder, source.dtype, columns, add)
        return context.get_dummy_value()

    return types.void(source, types.intp, source.dtype, into, types.intp), generate


@generated
def weigh_rows(typing, source, others, weights, begin, end, column, found):  # type: ignore[no-untyped-def]
    """Put Σ_j weights[j] · source[others[j]], for j from `begin` to `end`, into found[0].

    In the order of j and fused, of the 8 columns from `column` on.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kinds, array, begin, end, column = signature.args, *(arguments[at] for at in (0, 3, 4, 5))
        named, shares = (
            arrayobj.make_array(kinds[at])(context, builder, arguments[at]).data for at in (1, 2)
        )
        wide = ir.VectorType(context.get_value_type(source.dtype), LANES)
        align = source.dtype.bitwidth // 8
        total = cgutils.alloca_once_value(builder, ir.Constant(wide, [0.0] * LANES))

        def place(kind: Any, rows: Any, row: Any) -> Any:
            start = row_pointer(context, builder, kind, rows, row)
            return builder.bitcast(builder.gep(start, [column]), wide.as_pointer())

        with cgutils.for_range(builder, end, begin) as loop:
            row = builder.load(builder.gep(named, [loop.index]))
            row = context.cast(builder, row, others.dtype, types.intp)
            share = splat(builder, builder.load(builder.gep(shares, [loop.index])))
            held = builder.load(place(kinds[0], array, row), align=align)
            builder.store(fused(builder, share, held, builder.load(total)), total)
        first = context.get_constant(types.intp, 0)
        builder.store(builder.load(total), place(kinds[6], arguments[6], first), align=align)
        return context.get_dummy_value()

    places = (types.intp,) * 3
    return types.void(source, others, weights, *places, found), generate


@generated
def four_products(typing, left, row, right, others, at, found):  # type: ignore[no-untyped-def]
    """Store left[row] · right[others[at + i]] in found[0, at + i], for i below 4.

    Rows of `left` and `right` have a multiple of `LANES` columns; sums are those of
    `inner_product`.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kinds = signature.args
        mine = row_pointer(context, builder, kinds[0], arguments[0], arguments[1])
        rows = _chosen_rows(context, builder, kinds, arguments, 2)
        wide = ir.VectorType(context.get_value_type(left.dtype), LANES)
        nothing = ir.Constant(wide, [0.0] * LANES)
        totals = [cgutils.alloca_once_value(builder, nothing) for _ in rows]

        def add(load, store):  # type: ignore[no-untyped-def]
            factors = load(mine)
            for total, other in zip(totals, rows, strict=True):
                held = builder.load(total)
                builder.store(fused(builder, factors, load(other), held), total)

        columns = _column_count(context, builder, kinds[0], arguments[0])
        each_lanes(context, builder, left.dtype, columns, add)
        sums = _four_added_up(builder, [builder.load(total) for total in totals])
        first = context.get_constant(types.intp, 0)
        place = row_pointer(context, builder, kinds[5], arguments[5], first)
        place = builder.bitcast(builder.gep(place, [arguments[4]]), sums.type.as_pointer())
        builder.store(sums, place, align=left.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(left, types.intp, right, others, types.intp, found), generate


@generated
def add_four(  # type: ignore[no-untyped-def]
    typing, left, row, right, others, at, factors, left_sums, right_sums
):
    """Add f_i right[other_i] to left_sums[row] and f_i left[row] to right_sums[other_i].

    other_i is others[at + i] and f_i is factors[0, at + i], for i below 4. Rows are as in
    `four_products`; additions are fused with their multiplications and in the order of i.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kinds = signature.args
        mine = row_pointer(context, builder, kinds[0], arguments[0], arguments[1])
        my_sums = row_pointer(context, builder, kinds[6], arguments[6], arguments[1])
        rows = _chosen_rows(context, builder, kinds, arguments, 2)
        sums = _chosen_rows(
            context, builder, kinds, [*arguments[:2], arguments[7], *arguments[3:]], 2
        )
        first = context.get_constant(types.intp, 0)
        scalars = row_pointer(context, builder, kinds[5], arguments[5], first)
        spread = [
            splat(
                builder,
                builder.load(
                    builder.gep(scalars, [builder.add(arguments[4], arguments[4].type(i))])
                ),
            )
            for i in range(4)
        ]

        def add(load, store):  # type: ignore[no-untyped-def]
            own, total = load(mine), load(my_sums)
            for factor, other, other_sum in zip(spread, rows, sums, strict=True):
                total = fused(builder, factor, load(other), total)
                store(fused(builder, factor, own, load(other_sum)), other_sum)
            store(total, my_sums)

        columns = _column_count(context, builder, kinds[0], arguments[0])
        each_lanes(context, builder, left.dtype, columns, add)
        return context.get_dummy_value()

    arguments = left, types.intp, right, others, types.intp, factors, left_sums, right_sums
    return types.void(*arguments), generate


@generated
def logistic(typing, values, length):  # type: ignore[no-untyped-def]
    """Replace the first `length` entries x of the first row of `values` by 1 / (1 + exp(-x)).

    And those after, up to a multiple of `LANES`, which the row must have.

    exp is 2ⁿ times a Taylor series of exp(r) with |r| at most ½ ln 2, with a relative error below
    1e-14 in float64; arguments beyond ±80 count as ±80.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        first = context.get_constant(types.intp, 0)
        place = row_pointer(context, builder, values, arguments[0], first)

        def replace(load, store):  # type: ignore[no-untyped-def]
            one = ir.Constant(load(place).type, [1.0] * LANES)
            grown = builder.fadd(one, _exponential(builder, builder.fneg(load(place))))
            store(builder.fdiv(one, grown), place)

        each_lanes(context, builder, values.dtype, arguments[1], replace)
        return context.get_dummy_value()

    return types.void(values, types.intp), generate


def each_lanes(context: Any, builder: Any, kind: Any, length: Any, body: Any) -> None:
    """Generate a loop over `length` entries of rows of floats of a kind, `LANES` at a time.

    `body` is given two functions: one loads a vector from a pointer to a row, the other stores one.
    """
    wide = ir.VectorType(context.get_value_type(kind), LANES)
    with cgutils.for_range_slice(builder, length.type(0), length, length.type(LANES)) as (at, _):

        def place(pointer: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [at]), wide.as_pointer())

        def load(pointer: Any) -> Any:
            return builder.load(place(pointer), align=kind.bitwidth // 8)

        def store(value: Any, pointer: Any) -> None:
            builder.store(value, place(pointer), align=kind.bitwidth // 8)

        body(load, store)


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """The vector a · b + c, rounded once."""
    return _called(builder, "fma", a, b, c)


def splat(builder: Any, value: Any, count: int = LANES) -> Any:
    """A vector of `count` times a number."""
    nothing = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    return _spread_lane(builder, builder.insert_element(nothing, value, INDEX(0)), 0)


def _spread_lane(builder: Any, vector: Any, lane: int) -> Any:
    """A vector whose every entry is that of one lane of another."""
    nothing = ir.Constant(vector.type, ir.Undefined)
    return builder.shuffle_vector(vector, nothing, _places([lane] * vector.type.count))


def _called(builder: Any, name: str, *arguments: Any) -> Any:
    """Call LLVM's function of this name on vectors."""
    kind = arguments[0].type
    number = "f32" if isinstance(kind.element, ir.FloatType) else "f64"
    function = ir.FunctionType(kind, [kind] * len(arguments))
    full = f"llvm.{name}.v{kind.count}{number}"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, full), arguments)


def _places(numbers: list[int]) -> Any:
    return ir.Constant(ir.VectorType(INDEX, len(numbers)), numbers)


def _column_count(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    held = arrayobj.make_array(kind)(context, builder, array)
    return cgutils.unpack_tuple(builder, held.shape, 2)[1]


def _chosen_rows(context: Any, builder: Any, kinds: Any, arguments: Any, array: int) -> list[Any]:
    """Pointers to the rows of an argument that the next one names, four from the one after it."""
    named = arrayobj.make_array(kinds[array + 1])(context, builder, arguments[array + 1])
    rows = []
    for step in range(4):
        at = builder.add(arguments[array + 2], arguments[array + 2].type(step))
        row = builder.load(builder.gep(named.data, [at]))
        rows.append(row_pointer(context, builder, kinds[array], arguments[array], row))
    return rows


def _four_added_up(builder: Any, vectors: list[Any]) -> Any:
    """The sums of four vectors' entries, each added as by `added_up`, as one vector."""

    def picked(a: Any, b: Any, places: list[int]) -> Any:
        return builder.shuffle_vector(a, b, _places(places))

    halves = [
        builder.fadd(picked(one, one, [0, 1, 2, 3]), picked(one, one, [4, 5, 6, 7]))
        for one in vectors
    ]
    a, b = (
        builder.fadd(picked(a, b, [0, 1, 4, 5]), picked(a, b, [2, 3, 6, 7]))
        for a, b in (halves[:2], halves[2:])
    )
    return builder.fadd(picked(a, b, [0, 2, 4, 6]), picked(a, b, [1, 3, 5, 7]))


def _exponential(builder: Any, x: Any) -> Any:
    """Exp of a vector, whose entries count as ±80 beyond; see `logistic`."""
    kind = x.type
    single = isinstance(kind.element, ir.FloatType)
    bits, fraction, bias = (32, 23, 127) if single else (64, 52, 1023)

    def constant(value: float) -> Any:
        return ir.Constant(kind, [value] * LANES)

    # ln 2 in two parts, of which the first has so few digits that n times it is exact.
    high = 0.693359375
    x = _called(builder, "minnum", _called(builder, "maxnum", x, constant(-80.0)), constant(80.0))
    n = _called(builder, "floor", fused(builder, x, constant(1 / math.log(2)), constant(0.5)))
    r = fused(builder, n, constant(-high), x)
    r = fused(builder, n, constant(high - math.log(2)), r)
    total = constant(1 / math.factorial(TAYLOR))
    for degree in range(TAYLOR - 1, -1, -1):
        total = fused(builder, total, r, constant(1 / math.factorial(degree)))
    whole = ir.VectorType(ir.IntType(bits), LANES)
    power = builder.add(builder.fptosi(n, whole), ir.Constant(whole, [bias] * LANES))
    power = builder.shl(power, ir.Constant(whole, [fraction] * LANES))
    return builder.fmul(total, builder.bitcast(power, kind))


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
