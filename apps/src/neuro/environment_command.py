"""`neuro env`: what a report needs to know."""

from __future__ import annotations

from typing import Any

from neuro.options import Json


def env(as_json: Json = False) -> None:
    """Show versions, devices and the kernels in use, to paste in a report."""
    from neuro.output import print_json, say

    facts = _facts()
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            say(f"{name}:")
            for key, item in value.items():
                say(f"  {key}: {item}")
        else:
            say(f"{name}: {value}")


def _facts() -> dict[str, Any]:
    import torch
    from binemb import faiss_gpu_count
    from ddp_utils import environment
    from evosnn import kernels as network_kernels
    from lsm import kernels as liquid_kernels
    from sdquant import kernels
    from spikecode import kernels as spike_kernels

    facts = environment()
    facts["cuda"] = torch.version.cuda if torch.cuda.is_available() else "no device"
    facts["faiss_gpus"] = faiss_gpu_count()
    devices = ("cpu", *(["cuda"] if torch.cuda.is_available() else []))
    facts["kernels"] = {f"sdquant on {device}": kernels.in_use(device) for device in devices}
    facts["kernels"] |= {f"evosnn on {device}": network_kernels.in_use(device) for device in devices}
    facts["kernels"] |= {f"spikecode on {device}": spike_kernels.in_use(device) for device in devices}
    facts["kernels"] |= {f"lsm on {device}": liquid_kernels.in_use(device) for device in devices}
    return facts
