from . import kernels
from .bits import pack_bits, unpack_bits
from .fast_jl import FastJL
from .frame import FrameQuantizer, rotated_harmonic_frame, sobolev_dual
from .hadamard import block_fwht, fwht, power_of_two_blocks
from .one_bit import SigmaDelta, filter_taps, greedy, sigma_delta, sigma_delta_states, stability_limit, unshape
from .ternary import pack_ternary, quantize_ternary, unpack_ternary

__all__ = [
    "FastJL",
    "FrameQuantizer",
    "SigmaDelta",
    "block_fwht",
    "filter_taps",
    "fwht",
    "greedy",
    "kernels",
    "pack_bits",
    "pack_ternary",
    "power_of_two_blocks",
    "quantize_ternary",
    "rotated_harmonic_frame",
    "sigma_delta",
    "sigma_delta_states",
    "sobolev_dual",
    "stability_limit",
    "unpack_bits",
    "unpack_ternary",
    "unshape",
]
