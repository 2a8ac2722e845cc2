"""Sizes of the programs of the Triton kernel, whose one-hot blocks live in registers."""

from __future__ import annotations

ELEMENTS_OF_A_WARP = 2048  # of the one-hot blocks, 64 a thread
MOST_WARPS = 16
MOST_ELEMENTS = 2**17  # 256 a thread: beyond, the unrolled program takes minutes to compile and leaves the registers


def blocks_of(n_afferents: int, n_neurons: int, n_edges: int) -> dict[str, int]:
    """Sizes of a program for genomes of a size: powers of two, and warps.

    Args:
        n_afferents: C.
        n_neurons: N of the largest genome.
        n_edges: enabled edges of the largest genome.

    Raises:
        ValueError: the genomes are too large for the registers of a program.
    """
    c, n, e = (_power_of_2(size) for size in (n_afferents, n_neurons, n_edges))
    elements = e * (c + n)
    if elements > MOST_ELEMENTS:
        raise ValueError(
            f"Network: {n_edges} synapses of {n_neurons} neurons and {n_afferents} afferents are too many for the CUDA "
            f"kernel, which keeps synapses x (afferents + neurons), each rounded up to a power of two, in registers: "
            f"{elements:,}, at most {MOST_ELEMENTS:,}; take device='cpu', or Network(..., kernel='reference')"
        )
    warps = min(MOST_WARPS, _power_of_2(-(-elements // ELEMENTS_OF_A_WARP)))
    return {"BLOCK_C": c, "BLOCK_N": n, "BLOCK_E": e, "num_warps": warps}


def _power_of_2(size: int) -> int:
    """The least power of two that is not less, 1 for nothing."""
    return 1 << max(0, size - 1).bit_length()
