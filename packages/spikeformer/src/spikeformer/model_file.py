"""The file of a model: safetensors with its configuration, a version and a checksum."""

from __future__ import annotations

from pathlib import Path

import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor, nn

from spikeformer.config import SpikeformerConfig
from spikeformer.dense import DenseTwin
from spikeformer.model import Spikeformer
from spikeformer.start_values import LinearFactory
from spikeformer.token_model import TokenModel

KIND, VERSION = "spikeformer.model", 1
_DTYPES = (torch.float32, torch.float64, torch.bfloat16)
_MODELS: dict[str, type[Spikeformer] | type[DenseTwin]] = {"spiking": Spikeformer, "dense": DenseTwin}


def save_model(path: str | Path, model: Spikeformer | DenseTwin) -> None:
    """Write a model's configuration and parameters, atomically.

    Args:
        path: the file; what was there stays until the new one is whole.
        model: spiking or dense, of any floating-point type that `load_model` knows: float32, float64 or bfloat16.

    Raises:
        TypeError: it is no such model.
        OSError: the file cannot be written.
    """
    names = [name for name, kind in _MODELS.items() if type(model) is kind]
    if not names:
        raise TypeError(f"save_model: expected a Spikeformer or a dense twin, got {type(model).__name__}")
    dtypes = {parameter.dtype for parameter in model.parameters()}
    if len(dtypes) != 1 or not dtypes <= set(_DTYPES):
        raise TypeError(f"save_model: parameters must all be float32, float64 or bfloat16, got {dtypes}")
    facts = {"model": names[0], "linear": _linear_name(model), "config": model.config.to_dict()}
    write_tensor_file(path, model.state_dict(), kind=KIND, version=VERSION, metadata=facts)


def load_model(path: str | Path, *, linear: LinearFactory = nn.Linear) -> Spikeformer | DenseTwin:
    """Read what `save_model` wrote.

    Args:
        path: the file.
        linear: what the model was made with; a model on other linear layers is refused.

    Returns:
        The model, on the CPU, in training mode as a new one.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: truncated, changed, of another kind, or of a newer version.
        ValueError: the model was made with other linear layers.
    """
    tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
    try:
        kind = _MODELS[facts["model"]]
        config = SpikeformerConfig.from_dict(facts["config"])
        dtype = _check_sizes(config, tensors)
        named = str(facts["linear"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"{path}: not a usable model: {error}") from error
    model = kind(config, linear=linear)
    if _linear_name(model) != named:
        raise ValueError(
            f"{path}: its linear layers are {named}, not {_linear_name(model)}: load it with linear={named}"
        )
    try:
        model.to(dtype).load_state_dict(tensors)
    except RuntimeError as error:
        raise FileFormatError(f"{path}: not a usable model: {error}") from error
    return model


def _linear_name(model: TokenModel) -> str:
    return type(model.blocks[0].get_submodule("qkv")).__name__


def _check_sizes(config: SpikeformerConfig, tensors: dict[str, Tensor]) -> torch.dtype:
    """Compare sizes before anything of them is made, so that a file cannot ask for more memory than it has bytes."""
    D, F = config.dim, config.mlp_ratio * config.dim
    shapes = {"embedding_VD": (config.vocab_size, D), "blocks.0.up.weight": (F, D)}
    if config.input_dim is not None:
        shapes["input.weight"] = (D, config.input_dim)
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(f"{name} is {tuple(tensors[name].shape)}, its configuration says {shape}")
    layers = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    if len(layers) != config.layers:
        raise ValueError(f"it has {len(layers)} layers, its configuration says {config.layers}")
    dtype = tensors["embedding_VD"].dtype
    if dtype not in _DTYPES:
        raise ValueError(f"its parameters are {dtype}")
    return dtype
