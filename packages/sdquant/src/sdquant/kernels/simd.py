"""Walsh-Hadamard butterflies on 16 neighbours at once, as LLVM vector code for numba.

numba leaves loops of 16 steps scalar, and they are where a transform spends its time. LLVM lowers the 16-wide vectors
to what the machine has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

WIDTH = 16


def _vector_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    element = context.get_value_type(array_type.dtype)
    return builder.bitcast(builder.gep(data, [index]), ir.VectorType(element, WIDTH).as_pointer())


def _alignment(array_type: Any) -> int:
    """Rows start anywhere, so vectors are aligned as their elements are."""
    return array_type.dtype.bitwidth // 8


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), lanes))


def _radix4(builder: Any, v: list[Any]) -> tuple[Any, Any, Any, Any]:
    a, b = builder.fadd(v[0], v[1]), builder.fsub(v[0], v[1])
    c, d = builder.fadd(v[2], v[3]), builder.fsub(v[2], v[3])
    return builder.fadd(a, c), builder.fadd(b, d), builder.fsub(a, c), builder.fsub(b, d)


def _scaled_transform(builder: Any, v: Any, factor: Any) -> Any:
    """Spans 1, 2, 4 and 8 within one vector: each lane meets its partner by a shuffle."""
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(v.type, ir.Undefined), factor, zero)
    v = builder.fmul(v, _shuffle(builder, one, one, [0] * WIDTH))
    for span in (1, 2, 4, 8):
        other = _shuffle(builder, v, v, [i ^ span for i in range(WIDTH)])
        total, difference = builder.fadd(v, other), builder.fsub(other, v)
        v = _shuffle(builder, total, difference, [i + WIDTH if i & span else i for i in range(WIDTH)])
    return v


# Each intrinsic declares its types and gives the code to emit; numba supplies the first argument of both.


@intrinsic
def first_four_stages(typing_context, x, y, index, scale):  # noqa: ARG001
    """Write the transform of scale * x[index : index + 16] to the same place in y: spans 1 to 8."""

    def code(context, builder, signature, arguments):
        x_value, y_value, at, factor = arguments
        align = _alignment(signature.args[0])
        source = _vector_pointer(context, builder, signature.args[0], x_value, at)
        target = _vector_pointer(context, builder, signature.args[1], y_value, at)
        builder.store(_scaled_transform(builder, builder.load(source, align=align), factor), target, align=align)
        return context.get_dummy_value()

    return types.void(x, y, index, scale), code


@intrinsic
def first_six_stages(typing_context, x, y, index, scale):  # noqa: ARG001
    """Write the transform of scale * x[index : index + 64] to the same place in y: spans 1 to 32."""

    def code(context, builder, signature, arguments):
        x_value, y_value, at, factor = arguments
        align = _alignment(signature.args[0])
        targets, v = [], []
        for _ in range(4):
            source = _vector_pointer(context, builder, signature.args[0], x_value, at)
            targets.append(_vector_pointer(context, builder, signature.args[1], y_value, at))
            v.append(_scaled_transform(builder, builder.load(source, align=align), factor))
            at = builder.add(at, ir.Constant(at.type, WIDTH))
        for target, result in zip(targets, _radix4(builder, v), strict=True):
            builder.store(result, target, align=align)
        return context.get_dummy_value()

    return types.void(x, y, index, scale), code


@intrinsic
def two_stages(typing_context, y, index, span):  # noqa: ARG001
    """Transform y[index + j + k * span] over k in 0..3 in place, for the 16 neighbours j."""

    def code(context, builder, signature, arguments):
        value, at, step = arguments
        align = _alignment(signature.args[0])
        pointers, v = [], []
        for _ in range(4):
            pointer = _vector_pointer(context, builder, signature.args[0], value, at)
            pointers.append(pointer)
            v.append(builder.load(pointer, align=align))
            at = builder.add(at, step)
        for pointer, result in zip(pointers, _radix4(builder, v), strict=True):
            builder.store(result, pointer, align=align)
        return context.get_dummy_value()

    return types.void(y, index, span), code


@intrinsic
def one_stage(typing_context, y, index, span):  # noqa: ARG001
    """Transform y[index + j + k * span] over k in 0..1 in place, for the 16 neighbours j."""

    def code(context, builder, signature, arguments):
        value, at, step = arguments
        align = _alignment(signature.args[0])
        low = _vector_pointer(context, builder, signature.args[0], value, at)
        high = _vector_pointer(context, builder, signature.args[0], value, builder.add(at, step))
        a, b = builder.load(low, align=align), builder.load(high, align=align)
        builder.store(builder.fadd(a, b), low, align=align)
        builder.store(builder.fsub(a, b), high, align=align)
        return context.get_dummy_value()

    return types.void(y, index, span), code
