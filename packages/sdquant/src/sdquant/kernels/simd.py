"""Walsh-Hadamard butterflies on whole vector registers, as LLVM vector code for numba.

A vector is 64 bytes of neighbours (16 float32 or 8 float64); LLVM lowers it to what the machine has. Stages of spans
within a vector cost one shuffle and one fused multiply-add each; stages of wider spans pair whole vectors, which stay
in registers for up to four stages.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

VECTOR_BYTES = 64
MOST_VECTORS = 16


def _vector_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    vector = ir.VectorType(context.get_value_type(array_type.dtype), _lanes(array_type))
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _lanes(array_type: Any) -> int:
    return VECTOR_BYTES * 8 // array_type.dtype.bitwidth


def _alignment(array_type: Any) -> int:
    """Rows start anywhere, so vectors are aligned as their elements are."""
    return array_type.dtype.bitwidth // 8


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _broadcast(builder: Any, vector_type: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(vector_type, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return _shuffle(builder, one, one, [0] * vector_type.count)


def _stages_within(builder: Any, v: Any) -> Any:
    """Spans below the number of lanes: each lane meets its partner by a shuffle.

    A product with +-1 is exact, so fused or not, v * (+-1) + partner equals partner + v or partner - v bit for bit.
    """
    bits = 32 if isinstance(v.type.element, ir.FloatType) else 64
    multiply_add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(v.type, [v.type] * 3), f"llvm.fmuladd.v{v.type.count}f{bits}"
    )
    span = 1
    while span < v.type.count:
        partner = _shuffle(builder, v, v, [i ^ span for i in range(v.type.count)])
        signs = ir.Constant(v.type, [-1.0 if i & span else 1.0 for i in range(v.type.count)])
        v = builder.call(multiply_add, [v, signs, partner])
        span *= 2
    return v


def _stages_across(builder: Any, vectors: list[Any]) -> list[Any]:
    """Spans of whole vectors, from neighbours up."""
    span = 1
    while span < len(vectors):
        low = [k for k in range(len(vectors)) if not k & span]
        for k in low:
            a, b = vectors[k], vectors[k + span]
            vectors[k], vectors[k + span] = builder.fadd(a, b), builder.fsub(a, b)
        span *= 2
    return vectors


# An intrinsic declares its types and gives the code to emit; numba supplies the first argument of both.


def _first_stages(n_vectors: int) -> Any:
    """Make f(x, y, index, scale): write the transform of that many neighbouring vectors of scale * x to y."""

    @intrinsic
    def first_stages(typing_context, x, y, index, scale):  # noqa: ARG001
        def code(context, builder, signature, arguments):
            x_value, y_value, at, factor = arguments
            align = _alignment(signature.args[0])
            targets, vectors = [], []
            for _ in range(n_vectors):
                v = builder.load(_vector_pointer(context, builder, signature.args[0], x_value, at), align=align)
                vectors.append(_stages_within(builder, builder.fmul(v, _broadcast(builder, v.type, factor))))
                targets.append(_vector_pointer(context, builder, signature.args[1], y_value, at))
                at = builder.add(at, ir.Constant(at.type, _lanes(signature.args[0])))
            for target, result in zip(targets, _stages_across(builder, vectors), strict=True):
                builder.store(result, target, align=align)
            return context.get_dummy_value()

        return types.void(x, y, index, scale), code

    return first_stages


def _next_stages(n_vectors: int) -> Any:
    """Make f(y, index, span): transform that many vectors, span elements apart, in place."""

    @intrinsic
    def next_stages(typing_context, y, index, span):  # noqa: ARG001
        def code(context, builder, signature, arguments):
            value, at, step = arguments
            align = _alignment(signature.args[0])
            pointers = []
            for _ in range(n_vectors):
                pointers.append(_vector_pointer(context, builder, signature.args[0], value, at))
                at = builder.add(at, step)
            vectors = [builder.load(pointer, align=align) for pointer in pointers]
            for pointer, result in zip(pointers, _stages_across(builder, vectors), strict=True):
                builder.store(result, pointer, align=align)
            return context.get_dummy_value()

        return types.void(y, index, span), code

    return next_stages


first_1, first_2, first_4, first_8, first_16 = map(_first_stages, (1, 2, 4, 8, 16))
next_2, next_4, next_8, next_16 = map(_next_stages, (2, 4, 8, 16))
