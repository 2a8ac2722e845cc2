"""Additive quantization: a vector as a sum of entries, one from each of M small integer codebooks.

    x ~ sum_m c_m,   c_m = scale_m * level[m, symbol_m]

With K = 2 the symbols are bits, each decided to cancel what the others leave: one-bit noise shaping with the decoder's
columns in place of the shift register. Larger codebooks follow the data better and cost more to keep.

Shapes: N rows, D dimensions, M codebooks, K entries of each, J = M K.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ddp_utils import keyed_generator
from torch import Tensor

from sdquant.kernels import additive

LEVEL_BITS = 6  # 8 lower the squared error by .001 of the variance and cost a third more
_TOP_LEVEL = 2 ** (LEVEL_BITS - 1) - 1
_RIDGE = 1e-3
_NOISE = 0.5
_CLUSTERED = 20_000  # rows that the start clusters


@dataclass(frozen=True)
class AdditiveCodebooks:
    """Codebooks of an additive quantizer.

    Args:
        level_MKD: entries, int8 in -31..31, (M, K, D), K a power of two up to 256.
        scale_M: size of one level of each codebook, float32, (M,).

    Raises:
        ValueError: shapes, dtypes or values do not fit together.
    """

    level_MKD: Tensor
    scale_M: Tensor

    def __post_init__(self) -> None:
        levels, scales = self.level_MKD, self.scale_M
        if levels.dtype != torch.int8 or levels.ndim != 3 or not levels.numel():
            raise ValueError(f"codebooks: levels must be int8 (M, K, D), got {levels.dtype} {tuple(levels.shape)}")
        if levels.shape[1] not in (2, 4, 8, 16, 32, 64, 128, 256):
            raise ValueError(f"codebooks: entries a codebook must be a power of two, 2 to 256, got {levels.shape[1]}")
        if scales.dtype != torch.float32 or scales.shape != levels.shape[:1]:
            raise ValueError(f"codebooks: {levels.shape[0]} float32 scales wanted, got {tuple(scales.shape)}")
        if not bool((torch.isfinite(scales) & (scales >= 0)).all()):
            raise ValueError("codebooks: scales must be finite and not negative")
        if int(levels.min()) < -_TOP_LEVEL or int(levels.max()) > _TOP_LEVEL:
            raise ValueError(f"codebooks: levels must lie in -{_TOP_LEVEL}..{_TOP_LEVEL}")

    @property
    def n_codebooks(self) -> int:
        return self.level_MKD.shape[0]

    @property
    def n_symbols(self) -> int:
        return self.level_MKD.shape[1]

    @property
    def dim(self) -> int:
        return self.level_MKD.shape[2]

    @property
    def bits_per_symbol(self) -> int:
        return self.n_symbols.bit_length() - 1

    def entries(self) -> Tensor:
        """The entries, float32, (M, K, D)."""
        return self.level_MKD.float() * self.scale_M[:, None, None]

    def to(self, device: torch.device | str) -> AdditiveCodebooks:
        """The same codebooks on a device."""
        return AdditiveCodebooks(self.level_MKD.to(device), self.scale_M.to(device))


def round_codebooks(entry_MKD: Tensor) -> AdditiveCodebooks:
    """Round real entries to integer levels, one scale a codebook.

    Args:
        entry_MKD: entries, floating point, (M, K, D).
    """
    entry_MKD = entry_MKD.double()
    scale_M = (entry_MKD.abs().amax(dim=(1, 2)) / _TOP_LEVEL).float()
    step_M = torch.where(scale_M > 0, scale_M, 1).double()
    level_MKD = (entry_MKD / step_M[:, None, None]).round().clamp(-_TOP_LEVEL, _TOP_LEVEL).to(torch.int8)
    return AdditiveCodebooks(level_MKD, scale_M)


def search_tables(
    codebooks: AdditiveCodebooks, restarts: int, *, seed: int = 0, index: int = 0
) -> additive.SearchTables:
    """Prepare a search: products of all entries, and the symbols that each restart puts in (a third of a code).

    Args:
        codebooks: M codebooks.
        restarts: times to start again from the best code found, >= 0.
        seed: of the symbols.
        index: gives others for the same seed.
    """
    entry_JD = codebooks.entries().flatten(0, 1).double()
    pairs_JJ = 2 * entry_JD @ entry_JD.T
    alone_J = pairs_JJ.diagonal() / 2  # a new tensor: what follows does not reach it
    for m in range(codebooks.n_codebooks):
        own = slice(m * codebooks.n_symbols, (m + 1) * codebooks.n_symbols)
        pairs_JJ[own, own] = 0
    size = (restarts, max(1, codebooks.n_codebooks // 3))
    generator = keyed_generator(seed, "additive.restarts", index)
    return additive.SearchTables(
        alone_J.float().contiguous(),
        (-2 * entry_JD.T).float().contiguous(),
        pairs_JJ.float().contiguous(),
        torch.randint(codebooks.n_codebooks, size, generator=generator),
        torch.randint(codebooks.n_symbols, size, generator=generator),
        codebooks.n_symbols,
    )


def additive_encode(
    x_ND: Tensor, codebooks: AdditiveCodebooks, *, restarts: int = 32, start_NM: Tensor | None = None
) -> Tensor:
    """Find symbols whose entries add up to near each row: coordinate descent with restarts.

    A row's symbols depend on nothing but the row, the codebooks and the arguments.

    Args:
        x_ND: centred rows, float32, (N, D).
        codebooks: M codebooks.
        restarts: times to replace a third of the best code found and descend again, >= 0.
        start_NM: symbols to start from, uint8, (N, M); zeros by default.

    Returns:
        Symbols, uint8, (N, M).

    Raises:
        ValueError: x_ND or start_NM does not fit the codebooks.

    References:
        Babenko, Lempitsky (2014), CVPR: additive quantization. Martinez, Zakhmi, Hoos, Little (2018), ECCV: restarts.
    """
    if x_ND.ndim != 2 or x_ND.shape[1] != codebooks.dim or x_ND.dtype != torch.float32:
        raise ValueError(
            f"additive_encode: float32 rows of dimension {codebooks.dim} wanted, got {x_ND.dtype} {tuple(x_ND.shape)}"
        )
    if start_NM is not None and (
        start_NM.dtype != torch.uint8
        or start_NM.shape != (len(x_ND), codebooks.n_codebooks)
        or bool((start_NM >= codebooks.n_symbols).any() if codebooks.n_symbols < 256 else False)
    ):
        raise ValueError(f"additive_encode: start_NM must be ({len(x_ND)}, {codebooks.n_codebooks}) symbols, uint8")
    if start_NM is None:
        start_NM = torch.zeros(len(x_ND), codebooks.n_codebooks, dtype=torch.uint8, device=x_ND.device)
    return additive.search(x_ND, search_tables(codebooks, restarts), start_NM)


def additive_decode(codes_NM: Tensor, codebooks: AdditiveCodebooks) -> Tensor:
    """Add up entries.

    Args:
        codes_NM: symbols, uint8, (N, M).
        codebooks: M codebooks.

    Returns:
        Rows, float32, (N, D).
    """
    entry_MKD = codebooks.entries()
    out_ND = torch.zeros(len(codes_NM), codebooks.dim, device=codes_NM.device)
    for m in range(codebooks.n_codebooks):
        out_ND += entry_MKD[m][codes_NM[:, m].long()]
    return out_ND


def least_squares_entries(x_ND: Tensor, codes_NM: Tensor, n_symbols: int) -> Tensor:
    """Solve for the entries that decode given symbols with the least squared error.

    Args:
        x_ND: rows, float32, (N, D).
        codes_NM: their symbols, uint8, (N, M).
        n_symbols: K.

    Returns:
        Entries, float64, (M, K, D), lightly regularized, so that an entry that no code uses is zero.
    """
    from sdquant.kernels import cpu
    from sdquant.kernels.additive_cpu import count_pairs, sum_by_symbol

    n_codebooks = codes_NM.shape[1]
    n_entries = n_codebooks * n_symbols
    counts_JJ = torch.zeros(n_entries, n_entries, dtype=torch.float64)
    sums_JD = torch.zeros(n_entries, x_ND.shape[1], dtype=torch.float64)
    codes, x = codes_NM.cpu().contiguous().numpy(), x_ND.cpu().contiguous().numpy()
    cpu.over_rows(count_pairs, (codes, n_symbols, counts_JJ.numpy()), n_codebooks, codes.size * n_codebooks)
    cpu.over_rows(sum_by_symbol, (codes, n_symbols, x, sums_JD.numpy()), n_codebooks, codes.size * x.shape[1])
    counts_JJ.diagonal().add_(_RIDGE * len(x_ND) / n_symbols)
    factor_JJ = torch.linalg.cholesky(counts_JJ)
    return torch.cholesky_solve(sums_JD, factor_JJ).view(n_codebooks, n_symbols, -1)


def fit_codebooks(
    x_ND: Tensor,
    n_codebooks: int,
    n_symbols: int,
    *,
    rounds: int = 60,
    restarts: int = 6,
    seed: int = 0,
    stream: int = 0,
) -> tuple[AdditiveCodebooks, Tensor]:
    """Learn codebooks: symbols for the entries, then entries for the symbols, in turn.

    The entries carry noise that fades out over the rounds, so that the alternation does not settle at once.

    Args:
        x_ND: centred rows, float32, (N, D), N >= 1.
        n_codebooks: M, >= 1.
        n_symbols: K, a power of two, 2 to 256.
        rounds: alternations, >= 1.
        restarts: of the search in each round; symbols go on from the round before.
        seed: of the first entries, the noise and the restarts.
        stream: other draws for the same seed: one for each set of codebooks that belong together.

    Returns:
        The codebooks and the symbols found last, uint8, (N, M).

    References:
        Martinez, Zakhmi, Hoos, Little (2018), LSQ++, ECCV: alternation with fading noise.
    """
    codes_NM = _residual_start(x_ND, n_codebooks, n_symbols, seed, stream)
    spread_D = x_ND.double().std(dim=0, correction=0).cpu()
    for r in range(rounds):
        entry_MKD = least_squares_entries(x_ND, codes_NM, n_symbols)
        generator = keyed_generator(seed, f"additive.noise.{stream}", r)
        noise_MKD = torch.randn(entry_MKD.shape, generator=generator, dtype=torch.float64)
        entry_MKD += noise_MKD * spread_D * (_NOISE / n_codebooks * (1 - (r + 1) / rounds) ** 0.5)
        codebooks = round_codebooks(entry_MKD).to(x_ND.device)
        codes_NM = additive.search(
            x_ND, search_tables(codebooks, restarts, seed=seed, index=stream * rounds + r), codes_NM
        )
    return round_codebooks(least_squares_entries(x_ND, codes_NM, n_symbols)).to(x_ND.device), codes_NM


def _residual_start(x_ND: Tensor, n_codebooks: int, n_symbols: int, seed: int, stream: int) -> Tensor:
    """Symbols of a residual quantizer: each codebook clusters what those before it leave (five rounds of k-means)."""
    order = torch.randperm(len(x_ND), generator=keyed_generator(seed, "additive.sample", stream))
    sample = order[: max(_CLUSTERED, 64 * n_symbols)].to(x_ND.device)
    rest_ND = x_ND.clone()
    codes_NM = torch.zeros(len(x_ND), n_codebooks, dtype=torch.uint8, device=x_ND.device)
    for m in range(n_codebooks):
        generator = keyed_generator(seed, f"additive.picks.{stream}", m)
        picks = torch.randint(len(sample), (n_symbols,), generator=generator).to(x_ND.device)
        part_SD = rest_ND[sample]
        entry_MKD = part_SD[picks][None]
        for _ in range(5):
            codes_S1 = additive_encode(part_SD, round_codebooks(entry_MKD), restarts=0)
            entry_MKD = least_squares_entries(part_SD, codes_S1, n_symbols).to(x_ND.device)
        codebook = round_codebooks(entry_MKD)
        codes_NM[:, m] = additive_encode(rest_ND, codebook, restarts=0)[:, 0]
        rest_ND -= additive_decode(codes_NM[:, m, None], codebook)
    return codes_NM
