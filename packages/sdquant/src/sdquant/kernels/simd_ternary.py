"""Products of bytes with packed ternary weights, as LLVM vector code for numba.

A vector is 64 bytes. Weights are handled as digits, trit + 1, in {0, 1, 2}: unsigned times signed bytes summed by fours
is one instruction (VNNI) where the machine has it, and four plain ones where not.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

VECTOR_BYTES = 64
ROWS = 4  # rows of weights, and tokens, of a tile of products: 16 sums stay in registers
TOKENS = 4

_BYTES = ir.VectorType(ir.IntType(8), VECTOR_BYTES)
_SUMS = ir.VectorType(ir.IntType(32), VECTOR_BYTES // 4)


def _has_vnni() -> bool:
    features = config.CPU_FEATURES  # pyright: ignore[reportAttributeAccessIssue]
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    return "+avx512vnni" in features.split(",")


def _constant(value: int) -> Any:
    return ir.Constant(_BYTES, [value] * VECTOR_BYTES)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _BYTES.as_pointer())


def _half(builder: Any, v: Any, upper: int) -> Any:
    half = v.type.count // 2
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), half), [upper * half + i for i in range(half)])
    return builder.shuffle_vector(v, v, lanes)


def _add_products(builder: Any, sums: Any, digits: Any, x: Any) -> Any:
    """Add digits * x to the sums, four neighbours to one sum, in whichever grouping: integer sums have no order."""
    if _has_vnni():
        vnni = ir.FunctionType(_SUMS, [_SUMS] * 3)
        dot = cgutils.get_or_insert_function(builder.module, vnni, "llvm.x86.avx512.vpdpbusd.512")
        return builder.call(dot, [sums, builder.bitcast(digits, _SUMS), builder.bitcast(x, _SUMS)])
    wide = ir.VectorType(ir.IntType(16), VECTOR_BYTES)
    products = builder.mul(builder.zext(digits, wide), builder.sext(x, wide))
    pairs = builder.add(_half(builder, products, 0), _half(builder, products, 1))  # at most 2 * 2 * 128
    pairs = builder.sext(pairs, ir.VectorType(ir.IntType(32), VECTOR_BYTES // 2))
    return builder.add(sums, builder.add(_half(builder, pairs, 0), _half(builder, pairs, 1)))


# An intrinsic declares its types and gives the code to emit; numba supplies the first argument of both.


@intrinsic
def unpack_base3(typing_context, packed, source, digits, target, plane):  # noqa: ARG001
    """Write the five digits of packed[source : source + 64] to digits[target + i * plane :], i the digit's number."""

    def code(context, builder, signature, arguments):
        packed_value, read_at, digits_value, write_at, step = arguments
        rest = builder.load(_pointer(context, builder, signature.args[0], packed_value, read_at), align=1)
        for number in (4, 3, 2, 1, 0):
            at = builder.add(write_at, builder.mul(step, ir.Constant(step.type, number)))
            digit = rest
            if number:
                one = builder.icmp_unsigned(">=", rest, _constant(3**number))
                two = builder.icmp_unsigned(">=", rest, _constant(2 * 3**number))
                digit = builder.select(two, _constant(2), builder.select(one, _constant(1), _constant(0)))
                taken = builder.select(
                    two, _constant(2 * 3**number), builder.select(one, _constant(3**number), _constant(0))
                )
                rest = builder.sub(rest, taken)
            builder.store(digit, _pointer(context, builder, signature.args[2], digits_value, at), align=1)
        return context.get_dummy_value()

    return types.void(packed, source, digits, target, plane), code


@intrinsic
def unpack_two_bit(typing_context, packed, source, digits, target, plane):  # noqa: ARG001
    """Write the four digits of packed[source : source + 64] to digits[target + i * plane :], i the digit's number."""

    def code(context, builder, signature, arguments):
        packed_value, read_at, digits_value, write_at, step = arguments
        byte = builder.load(_pointer(context, builder, signature.args[0], packed_value, read_at), align=1)
        for number in range(4):
            at = builder.add(write_at, builder.mul(step, ir.Constant(step.type, number)))
            digit = builder.and_(builder.lshr(byte, _constant(2 * number)), _constant(3))
            builder.store(digit, _pointer(context, builder, signature.args[2], digits_value, at), align=1)
        return context.get_dummy_value()

    return types.void(packed, source, digits, target, plane), code


def _dot_tile(n_tokens: int) -> Any:
    """Make f(digits, x, start, width, out): dot products of ROWS rows of digits with that many rows of x from `start`.

    Rows are `width` bytes, a multiple of 64; out[row * n_tokens + token] gets the sums.
    """

    @intrinsic
    def dot_tile(typing_context, digits, x, start, width, out):  # noqa: ARG001
        def code(context, builder, signature, arguments):
            digits_value, x_value, x_start, width_value, out_value = arguments
            cells = [(row, token) for row in range(ROWS) for token in range(n_tokens)]
            sums = {cell: cgutils.alloca_once_value(builder, ir.Constant(_SUMS, None)) for cell in cells}

            def bytes_at(which: int, array: Any, first: Any, row: int, offset: Any) -> Any:
                row_start = builder.add(first, builder.mul(width_value, ir.Constant(width_value.type, row)))
                at = builder.add(row_start, offset)
                return builder.load(_pointer(context, builder, signature.args[which], array, at), align=1)

            zero = ir.Constant(width_value.type, 0)
            step = ir.Constant(width_value.type, VECTOR_BYTES)
            with cgutils.for_range_slice(builder, zero, width_value, step) as (offset, _):
                digits_R = [bytes_at(0, digits_value, zero, row, offset) for row in range(ROWS)]
                x_T = [bytes_at(1, x_value, x_start, token, offset) for token in range(n_tokens)]
                for row, token in cells:
                    total = _add_products(builder, builder.load(sums[row, token]), digits_R[row], x_T[token])
                    builder.store(total, sums[row, token])
            reduce = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.IntType(32), [_SUMS]), "llvm.vector.reduce.add.v16i32"
            )
            data = context.make_array(signature.args[4])(context, builder, out_value).data
            for number, cell in enumerate(cells):
                place = builder.gep(data, [ir.Constant(width_value.type, number)])
                builder.store(builder.call(reduce, [builder.load(sums[cell])]), place)
            return context.get_dummy_value()

        return types.void(digits, x, start, width, out), code

    return dot_tile


dot_one, dot_four = _dot_tile(1), _dot_tile(TOKENS)
