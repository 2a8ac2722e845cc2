"""1.58-bit weights for the linear layers of a whole model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from sdquant.bit_linear import BitLinear
from sdquant.ternary import TernaryLayout


def quantize_model(
    module: nn.Module, *, only: Sequence[str] = ("*",), skip: Sequence[str] = (), inplace: bool = False
) -> nn.Module:
    """Replace the nn.Linear layers of a model by `BitLinear`, to train it on or to pack it.

    The parameters are kept: tied weights stay tied, and state dicts keep their names. Only layers of the very type
    nn.Linear are replaced: subclasses have forwards of their own (the output projection of nn.MultiheadAttention,
    whose weights that module reads itself, is one).

    Args:
        module: the model. If it is an nn.Linear itself, the layer that takes its place is returned.
        only: shell-style patterns of the layers' qualified names; a layer that matches one is replaced...
        skip: ...unless it matches one of these, for example ("lm_head",) or ("*.gate",).
        inplace: change the model itself; a deep copy by default.

    Returns:
        The changed model.

    Raises:
        TypeError: only or skip is a single string.
        ValueError: the model has no nn.Linear, a pattern matches none, or a layer to be replaced has hooks, which
            would be lost.
    """

    def replace(name: str, linear: nn.Module) -> nn.Module:
        assert isinstance(linear, nn.Linear)
        if linear._forward_hooks or linear._forward_pre_hooks or linear._backward_hooks:
            raise ValueError(f"quantize_model: {name!r} has hooks, which would be lost: remove them first")
        return BitLinear.from_linear(linear)

    return _replace_layers("quantize_model", module, nn.Linear, replace, only=only, skip=skip, inplace=inplace)


def pack_model(module: nn.Module, layout: TernaryLayout = "base3", *, inplace: bool = False) -> nn.Module:
    """Replace the `BitLinear` layers of a model by `PackedBitLinear`, for inference.

    Weights that a layer shares with other modules (an embedding) are kept there as they are. To load a saved state
    dict, build the model, `quantize_model` and `pack_model` it the same way, then load_state_dict.

    Args:
        module: the model.
        layout: "base3", five trits a byte, or "two_bit", four.
        inplace: change the model itself; a deep copy by default.

    Returns:
        The changed model.

    Raises:
        ValueError: the model has no BitLinear, layout is unknown, or a weight is not finite.
    """

    def replace(name: str, layer: nn.Module) -> nn.Module:  # noqa: ARG001 - as quantize_model's
        assert isinstance(layer, BitLinear)
        return layer.pack(layout)

    return _replace_layers("pack_model", module, BitLinear, replace, only=("*",), skip=(), inplace=inplace)


def _replace_layers(
    caller: str,
    module: nn.Module,
    kind: type[nn.Module],
    replace: Callable[[str, nn.Module], nn.Module],
    *,
    only: Sequence[str],
    skip: Sequence[str],
    inplace: bool,
) -> nn.Module:
    if not inplace:
        module = copy.deepcopy(module)
    layers = {name: part for name, part in module.named_modules(remove_duplicate=False) if type(part) is kind}
    if not layers:
        raise ValueError(f"{caller}: the model has no {kind.__name__} layer")
    names = _matching(caller, "only", only, layers) - _matching(caller, "skip", skip, layers)
    made: dict[int, nn.Module] = {}  # a layer used under two names stays one layer
    for name, layer in layers.items():
        if name not in names:
            continue
        if id(layer) not in made:
            made[id(layer)] = replace(name, layer)
        if not name:
            return made[id(layer)]
        parent, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(parent), attribute, made[id(layer)])
    _leave_fused_paths(module)
    return module


def _matching(caller: str, argument: str, patterns: Sequence[str], layers: dict[str, nn.Module]) -> set[str]:
    if isinstance(patterns, str):
        raise TypeError(f"{caller}: {argument} must be a sequence of patterns, got the string {patterns!r}")
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name in layers if fnmatchcase(name, pattern)}
        if not matched:
            raise ValueError(f"{caller}: {argument} pattern {pattern!r} matches none of {', '.join(layers)}")
        found |= matched
    return found


def _leave_fused_paths(module: nn.Module) -> None:
    """torch's fused inference path of transformer encoders reads weights past the layers' forwards: leave it."""
    for part in module.modules():
        if isinstance(part, nn.TransformerEncoderLayer) and type(part.linear1) is not nn.Linear:
            part.activation_relu_or_gelu = 0
        if isinstance(part, nn.TransformerEncoder):
            part.use_nested_tensor = False
