"""Nested training state as plain JSON plus named tensors, so that it is stored without pickling.

JSON knows neither tuples, integer keys, NaN nor tensors; each is written as an object with one `$`-key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def flatten_state(state: Any, prefix: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Split nested state into a JSON-able tree and the tensors it refers to by path.

    Args:
        state: dicts (keys str or int), lists, tuples, tensors, numpy arrays and scalars, str, int, float, bool, None.
        prefix: path of this node, dot-separated.

    Returns:
        The tree and the tensors by path.

    Raises:
        TypeError: a value of another type, with its path.
    """
    tensors: dict[str, Tensor] = {}

    def store(tensor: Tensor, path: str) -> str:
        while path in tensors:  # {"a.b": x, "a": {"b": y}} and {1: x, "1": y} have one path for two tensors
            path += "'"
        tensors[path] = tensor
        return path

    def visit(node: Any, path: str) -> Any:
        if isinstance(node, Tensor):
            return {"$tensor": store(node.detach(), path)}
        if isinstance(node, np.ndarray):
            return {"$numpy": store(torch.from_numpy(np.array(node, order="C")), path), "shape": list(node.shape)}
        if isinstance(node, np.generic):
            return visit(node.item(), path)
        if node is None or isinstance(node, bool | int | str):
            return node
        if isinstance(node, float):
            return node if math.isfinite(node) else {"$float": repr(node)}
        if isinstance(node, Mapping):
            return {"$dict": [[visit_key(key, path), visit(value, f"{path}.{key}")] for key, value in node.items()]}
        if isinstance(node, tuple):
            return {"$tuple": [visit(value, f"{path}.{i}") for i, value in enumerate(node)]}
        if isinstance(node, list):
            return [visit(value, f"{path}.{i}") for i, value in enumerate(node)]
        raise TypeError(
            f"state {path}: cannot store a {type(node).__name__}; use tensors, numbers, strings, lists, dicts"
        )

    def visit_key(key: Any, path: str) -> str | int:
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise TypeError(f"state {path}: a key must be str or int, got {key!r}")
        return key

    return visit(state, prefix), tensors


def unflatten_state(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Put back together what `flatten_state` split.

    Raises:
        ValueError: the tree is not one of ours, or a tensor is missing.
    """
    if not isinstance(tree, dict):
        return [unflatten_state(value, tensors) for value in tree] if isinstance(tree, list) else tree
    try:
        match tree:
            case {"$tensor": path}:
                return tensors[path]
            case {"$numpy": path, "shape": shape}:
                return tensors[path].numpy().reshape(shape)
            case {"$float": text}:
                return float(text)
            case {"$tuple": values}:
                return tuple(unflatten_state(value, tensors) for value in values)
            case {"$dict": items}:
                return {key: unflatten_state(value, tensors) for key, value in items}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"state tree: {error}") from error
    raise ValueError(f"state tree: unknown node with keys {sorted(tree)}")
