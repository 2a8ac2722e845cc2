"""Instructions that numba does not give: atomic counters and prefetching."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from lsm.kernels import numba_jit

numba: Any = numba_jit.numba  # pyright: ignore[reportPrivateImportUsage]
_types, _cgutils = numba.types, numba.core.cgutils
_INT64 = ir.IntType(64)


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    proxy = _cgutils.create_struct_proxy(array_type)(context, builder, array)
    return builder.gep(proxy.data, [index])


@numba.extending.intrinsic
def atomic_add(typing_context: Any, counters: Any, index: Any, amount: Any) -> Any:  # noqa: ARG001
    """Add to counters[index], int64, undisturbed by other threads."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _element(context, builder, signature.args[0], *arguments[:2])
        builder.atomic_rmw("add", place, arguments[2], "acq_rel")
        return context.get_dummy_value()

    return _types.void(counters, _types.int64, _types.int64), generate


@numba.extending.intrinsic
def atomic_load(typing_context: Any, counters: Any, index: Any) -> Any:  # noqa: ARG001
    """Read counters[index], int64, as other threads left it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_element(context, builder, signature.args[0], *arguments), "acquire", 8)

    return _types.int64(counters, _types.int64), generate


@numba.extending.intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001
    """Ask for the cache line of array[index]; an index outside is harmless."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = _cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        place = builder.bitcast(_element(context, builder, signature.args[0], *arguments), pointer)
        builder.call(function, [place, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return _types.void(array, _types.int64), generate
