"""Bernoulli bits of 16 words at once, as LLVM vector code for numba.

64 bins a word compare 32 random binary digits with those of their probability, the highest first, until every bin has
met a digit that differs; the words of a vector go on together until the slowest has decided. LLVM lowers the vector of
16 x 64 bits to what the machine has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from spikecode.random_streams import MULTIPLIERS, signed

LANES = 16
_WORDS = ir.VectorType(ir.IntType(64), LANES)


def _constant(value: int) -> ir.Constant:
    return ir.Constant(_WORDS, [signed(value)] * LANES)


def _mix(builder: Any, z: Any) -> Any:
    for shift, multiplier in ((30, MULTIPLIERS[0]), (27, MULTIPLIERS[1]), (31, None)):
        z = builder.xor(z, builder.lshr(z, _constant(shift)))
        z = z if multiplier is None else builder.mul(z, _constant(multiplier))
    return z


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _WORDS.as_pointer())


@intrinsic
def bernoulli_lanes(
    typing_context: Any,  # noqa: ARG001 - what numba passes
    state: Any,
    step: Any,
    digits: Any,
    undecided: Any,
    fired: Any,
    at: Any,
) -> Any:
    """Decide the words at, at + 1, ..., at + 15: fired gets their bits, the other arrays are used up."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state_array, step_value, digits_array, undecided_array, fired_array, index = arguments
        kinds = signature.args
        pointers = [
            _pointer(context, builder, kind, array, index)
            for kind, array in (
                (kinds[0], state_array),
                (kinds[2], digits_array),
                (kinds[3], undecided_array),
                (kinds[4], fired_array),
            )
        ]
        initial = [builder.load(pointer, align=8) for pointer in pointers]
        zero = ir.Constant(ir.IntType(32), 0)
        one = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), step_value, zero)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        step_lanes = builder.shuffle_vector(one, one, lanes)
        before = builder.block
        loop, after = builder.append_basic_block("digits"), builder.append_basic_block("decided")
        builder.branch(loop)
        builder.position_at_end(loop)
        phis = [builder.phi(_WORDS) for _ in initial]
        part = builder.phi(ir.IntType(64))
        for phi, value in zip(phis, initial, strict=True):
            phi.add_incoming(value, before)
        part.add_incoming(ir.Constant(ir.IntType(64), 0), before)
        z = _mix(builder, phis[0])
        digit = builder.ashr(phis[1], _constant(63))
        spikes = builder.and_(builder.and_(phis[2], builder.not_(z)), digit)
        left = builder.and_(phis[2], builder.not_(builder.xor(z, digit)))
        following = [
            builder.add(phis[0], step_lanes),
            builder.shl(phis[1], _constant(1)),
            left,
            builder.or_(phis[3], spikes),
        ]
        following_part = builder.add(part, ir.Constant(ir.IntType(64), 1))
        reduce_type = ir.FunctionType(ir.IntType(64), [_WORDS])
        reduce = cgutils.get_or_insert_function(builder.module, reduce_type, f"llvm.vector.reduce.or.v{LANES}i64")
        undecided_bits = builder.call(reduce, [left])
        more = builder.and_(
            builder.icmp_unsigned("!=", undecided_bits, ir.Constant(ir.IntType(64), 0)),
            builder.icmp_unsigned("<", following_part, ir.Constant(ir.IntType(64), 32)),
        )
        for phi, value in zip(phis, following, strict=True):
            phi.add_incoming(value, loop)
        part.add_incoming(following_part, loop)
        builder.cbranch(more, loop, after)
        builder.position_at_end(after)
        builder.store(following[3], pointers[3], align=8)
        return context.get_dummy_value()

    return types.void(state, step, digits, undecided, fired, at), generate
