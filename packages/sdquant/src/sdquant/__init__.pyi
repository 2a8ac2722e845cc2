from . import analysis, kernels
from .autoencoder_config import AutoencoderConfig, AutoencoderLossWeights
from .autoencoder_train import train_binary_autoencoder
from .binary_autoencoder import BinaryAutoencoder
from .binary_embedding import BinaryEmbedding
from .bit_linear import BitLinear
from .bits import pack_bits, unpack_bits
from .codec import Codec, CodecConfig
from .codec_codes import CodecCodes
from .codec_plan import CompressionError
from .codes import Codes
from .condensation import condensation_window
from .fast_jl import FastJL
from .frame import FrameQuantizer, rotated_harmonic_frame, sobolev_dual
from .hadamard import block_fwht, fwht, power_of_two_blocks
from .one_bit import SigmaDelta, filter_taps, greedy, sigma_delta, sigma_delta_states, stability_limit, unshape
from .packed_linear import PackedBitLinear
from .ternary import pack_ternary, quantize_ternary, unpack_ternary
from .whole_model import pack_model, quantize_model

__all__ = [
    "AutoencoderConfig",
    "AutoencoderLossWeights",
    "BinaryAutoencoder",
    "BinaryEmbedding",
    "BitLinear",
    "Codec",
    "CodecCodes",
    "CodecConfig",
    "Codes",
    "CompressionError",
    "FastJL",
    "FrameQuantizer",
    "PackedBitLinear",
    "SigmaDelta",
    "analysis",
    "block_fwht",
    "condensation_window",
    "filter_taps",
    "fwht",
    "greedy",
    "kernels",
    "pack_bits",
    "pack_model",
    "pack_ternary",
    "power_of_two_blocks",
    "quantize_model",
    "quantize_ternary",
    "rotated_harmonic_frame",
    "sigma_delta",
    "sigma_delta_states",
    "sobolev_dual",
    "stability_limit",
    "train_binary_autoencoder",
    "unpack_bits",
    "unpack_ternary",
    "unshape",
]
