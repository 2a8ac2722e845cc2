"""The file of a codec: safetensors with a format name, a version and a checksum."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file

from spikecode.calibration import Calibration
from spikecode.codec import SpikeCodec
from spikecode.decoders.prior import Prior
from spikecode.population import Population
from spikecode.schemes import scheme_from_facts

KIND, VERSION = "spikecode.codec", 1


def write_codec(codec: SpikeCodec, path: str | Path) -> None:
    """Write a codec; see `SpikeCodec.save`."""
    tensors = {"low": codec.calibration.low_D, "high": codec.calibration.high_D}
    if codec.prior is not None:
        tensors["prior"] = codec.prior.density_DH
    if codec.weights_N is not None:
        tensors["weights"] = codec.weights_N
    facts = {
        "population": asdict(codec.population),
        "scheme": codec.coding.facts(),
        "steps": codec.steps,
        "refractory": codec.refractory,
        "position_period": codec.position_period,
        "seed": codec.seed,
    }
    write_tensor_file(path, tensors, kind=KIND, version=VERSION, metadata=facts)


def read_codec(path: str | Path) -> SpikeCodec:
    """Read a codec; see `SpikeCodec.load`."""
    tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
    try:
        if any(tensor.dtype != torch.float64 for tensor in tensors.values()):
            raise ValueError("tensors of another type")
        codec = SpikeCodec(
            calibration=Calibration(tensors["low"], tensors["high"]),
            population=Population(**facts["population"]),
            steps=facts["steps"],
            coding=scheme_from_facts(facts["scheme"]),
            refractory=facts["refractory"],
            position_period=facts["position_period"],
            seed=facts["seed"],
            prior=Prior(tensors["prior"]) if "prior" in tensors else None,
            weights_N=tensors.get("weights"),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise FileFormatError(f"{path}: not a usable codec: {error}") from error
    fits = codec.prior is None or len(codec.prior.density_DH) == codec.dim
    fits &= codec.weights_N is None or (
        codec.weights_N.shape == (codec.neurons + 1,) and bool(codec.weights_N.isfinite().all())
    )
    if not fits:
        raise FileFormatError(f"{path}: not a usable codec: its tensors do not fit its description")
    return codec
