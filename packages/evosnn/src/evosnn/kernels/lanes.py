"""Eight floats as one value in numba, as LLVM vectors: neurons or synapses of one network side by side.

Addition, subtraction, multiplication and division of lanes are those of each element, rounded as plain floats are, so
results are the same as element by element, on every machine; LLVM lowers them to what the machine has.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8
_INT32 = ir.IntType(32)
_infer_global: Any = infer_global


class Lanes(types.Type):
    """The numba type of eight floats."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


class Mask(types.Type):
    """The numba type of eight truth values."""

    def __init__(self) -> None:
        super().__init__(name="Mask")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        element = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(element, LANES))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), LANES))


def _define_arithmetic(function: Any, emit: str) -> None:
    @_infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002 - what numba passes
            if len(args) == 2 and isinstance(args[0], Lanes) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(function, Lanes, Lanes)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001 - what numba passes
        return getattr(builder, emit)(*args)


for _function, _emit in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define_arithmetic(_function, _emit)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, indices: Any) -> Any:
    made = context.make_array(array_type)(context, builder, array)
    pointer = cgutils.get_item_pointer(context, builder, array_type, made, indices)
    element = context.get_data_type(array_type.dtype)
    return builder.bitcast(pointer, ir.VectorType(element, LANES).as_pointer())


def _alignment(array_type: Any) -> int:
    return array_type.dtype.bitwidth // 8


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001 - what numba passes
    """Lanes from the last axis of an array, from an index (a tuple) on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        indices = cgutils.unpack_tuple(builder, args[1], len(index))
        indices = [
            context.cast(builder, value, kind, types.intp) for value, kind in zip(indices, sig.args[1], strict=True)
        ]
        return builder.load(_pointer(context, builder, sig.args[0], args[0], indices), align=_alignment(sig.args[0]))

    return Lanes(array.dtype)(array, index), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, lanes: Any) -> Any:  # noqa: ARG001 - what numba passes
    """Write lanes where `load` reads them."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        indices = cgutils.unpack_tuple(builder, args[1], len(index))
        indices = [
            context.cast(builder, value, kind, types.intp) for value, kind in zip(indices, sig.args[1], strict=True)
        ]
        pointer = _pointer(context, builder, sig.args[0], args[0], indices)
        builder.store(args[2], pointer, align=_alignment(sig.args[0]))
        return context.get_dummy_value()

    return types.void(array, index, lanes), generate


@intrinsic
def spread(typing_context: Any, value: Any) -> Any:  # noqa: ARG001 - what numba passes
    """One float in all lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = context.get_value_type(sig.return_type)
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, args[0], ir.Constant(_INT32, 0))
        return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES))

    return Lanes(value)(value), generate


@intrinsic
def at_least(typing_context: Any, left: Any, right: Any) -> Any:  # noqa: ARG001 - what numba passes
    """Mask of left >= right."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001 - what numba passes
        return builder.fcmp_ordered(">=", *args)

    return Mask()(left, right), generate


@intrinsic
def above(typing_context: Any, left: Any, right: Any) -> Any:  # noqa: ARG001 - what numba passes
    """Mask of left > right."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001 - what numba passes
        return builder.fcmp_ordered(">", *args)

    return Mask()(left, right), generate


@intrinsic
def both(typing_context: Any, left: Any, right: Any) -> Any:  # noqa: ARG001 - what numba passes
    """Mask of left and right."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001 - what numba passes
        return builder.and_(*args)

    return Mask()(left, right), generate


@intrinsic
def choose(typing_context: Any, mask: Any, left: Any, right: Any) -> Any:  # noqa: ARG001 - what numba passes
    """Left where the mask is set, right elsewhere."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001 - what numba passes
        return builder.select(*args)

    return left(mask, left, right), generate


@intrinsic
def bits_of(typing_context: Any, mask: Any) -> Any:  # noqa: ARG001 - what numba passes
    """A mask as the lowest eight bits of an int64, the first lane lowest."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001 - what numba passes
        return builder.zext(builder.bitcast(args[0], ir.IntType(8)), ir.IntType(64))

    return types.int64(mask), generate


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:  # noqa: ARG001 - what numba passes
    """Number of the lowest set bit of a word that is not 0, int64."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ARG001 - what numba passes
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), generate
