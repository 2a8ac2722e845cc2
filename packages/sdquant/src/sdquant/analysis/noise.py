"""Noise of the one-bit quantizers: over averages, over frequency, and in the state.

Shapes: N rows, M time steps, W samples of a window, F frequencies, B bins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor

from sdquant.condensation import condensation_window
from sdquant.one_bit import Overload, filter_taps, sigma_delta, sigma_delta_states, stability_limit

_OVERSAMPLING = (64, 128, 256, 512, 1024, 2048, 4096)
_SETTLE = 64  # steps left out at the start, where the state is zero
_BLOCKS = 16_384


def sqnr(
    orders: Iterable[int] = (0, 1, 2, 3),
    oversampling: Sequence[int] = _OVERSAMPLING,
    *,
    n_inputs: int = 256,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Measure the signal-to-quantization-noise ratio of averages of constant inputs.

        error = sum_i v_i q_i / sum_i v_i - y,   SQNR = 10 log10(mean y^2 / mean error^2)

    with v the `condensation_window` of the order (of order 1 for order 0) over W samples. The error falls as W^-order.

    Args:
        orders: orders to measure, each 0 to 3.
        oversampling: windows W to measure, in samples, >= 1.
        n_inputs: constants, drawn uniformly from [-0.5, 0.5], >= 1.
        seed: key of the constants.

    Returns:
        A row for each order and W: "order", "oversampling", "rms_error", "sqnr_db".

    Raises:
        ValueError: an order is unknown, or oversampling is empty or below 1.
    """
    if not oversampling or min(oversampling) < 1 or n_inputs < 1:
        raise ValueError(
            f"sqnr: oversampling must be windows of at least 1 sample and n_inputs at least 1, "
            f"got {tuple(oversampling)} and {n_inputs}"
        )
    generator = keyed_generator(seed, "sdquant.analysis.sqnr")
    y_N1 = torch.rand(n_inputs, 1, generator=generator, dtype=torch.float64) - 0.5
    longest = max(oversampling)
    rows = []
    for order in orders:
        q_NM = sigma_delta(y_N1.expand(n_inputs, _SETTLE + 2 * longest), order)[:, _SETTLE:].double()
        for window in oversampling:
            v_W = condensation_window(max(order, 1), window).double()
            blocks = 2 * longest // window
            averages = q_NM[:, : blocks * window].reshape(n_inputs, blocks, window) @ (v_W / v_W.sum())
            rms = float((averages - y_N1).square().mean().sqrt())
            decibels = 20 * math.log10(float(y_N1.square().mean().sqrt()) / rms)
            rows.append({"order": order, "oversampling": window, "rms_error": rms, "sqnr_db": decibels})
    return rows


def sqnr_slopes(rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Fit the power law of the error of each order, error ~ W^slope, by least squares in log-log.

    Args:
        rows: what `sqnr` gave, two windows or more.

    Returns:
        Order to slope; -order in theory.

    Raises:
        ValueError: an order has fewer than two windows.
    """
    slopes = {}
    for order in sorted({row["order"] for row in rows}):
        points = [(math.log(row["oversampling"]), math.log(row["rms_error"])) for row in rows if row["order"] == order]
        log_window, log_error = torch.tensor(points, dtype=torch.float64).T
        centred = log_window - log_window.mean()
        if not bool(centred.any()):
            raise ValueError(f"sqnr_slopes: order {order} has one window only, {rows[0]['oversampling']} samples")
        slopes[order] = float(centred @ log_error / centred.square().sum())
    return slopes


def block_noise(
    order: int, oversampling: int, *, load: float = 0.8, overload: Overload = "allow", seed: int = 0
) -> float:
    """Measure the noise of condensed codes over their signal, for independent normal measurements.

        sqrt( E (V q - V y)^2 / E (V y)^2 ),   y ~ N(0, (load mu)^2)

    Args:
        order: 1 to 3.
        oversampling: W, bits a block, >= 1.
        load: root mean square of y over mu, > 0.
        overload: what happens to samples beyond mu; "allow" is what `BinaryEmbedding` does.
        seed: key of y.

    Returns:
        The ratio, over 16,384 blocks.

    Raises:
        ValueError: order is not 1, 2 or 3, oversampling is below 1, or load is not positive.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"block_noise: order must be 1, 2 or 3, got {order!r}")
    if not load > 0:
        raise ValueError(f"block_noise: load must be positive, got {load}")
    v_W = condensation_window(order, oversampling).double()
    blocks = 64
    generator = keyed_generator(seed, "sdquant.analysis.block_noise")
    y_NM = torch.randn(_BLOCKS // blocks, blocks * oversampling, generator=generator) * (load * stability_limit(order))
    error_NM = sigma_delta(y_NM, order, overload=overload) - y_NM
    noise, signal = (a.double().unflatten(1, (blocks, oversampling)) @ v_W for a in (error_NM, y_NM))
    return float((noise.square().mean() / signal.square().mean()).sqrt())


def noise_transfer(order: int, frequency: Tensor) -> Tensor:
    """Give the power gain of the noise-shaping filter.

        |1 - sum_j h_j exp(-2 pi i f n_j)|^2 ~ f^(2 order) for small f

    Args:
        order: 0 to 3.
        frequency: f in cycles a sample, any shape.

    Returns:
        Gain, float64, in the shape of frequency.

    Raises:
        ValueError: order is unknown.
    """
    turns = -2j * math.pi * frequency.double()
    gain = torch.ones_like(turns)
    for lag, h in zip(*filter_taps(order), strict=True):
        gain = gain - float(h) * torch.exp(turns * lag)
    return gain.abs().square()


def error_spectrum(
    y: Tensor, order: int, *, segment: int = 1024, overload: Overload = "allow"
) -> tuple[Tensor, Tensor]:
    """Estimate the power spectral density of the error y - q: Welch's method, Hann window, half overlap.

    A state that is white and uniform in [-1, 1] would give a density of 2/3 `noise_transfer`.

    Args:
        y: input as for `sigma_delta`, (N, M).
        order: 0 to 3.
        segment: samples of a segment, even, 8 to M.
        overload: as for `sigma_delta`.

    Returns:
        Frequencies in cycles a sample, k / segment for k = 1 to segment / 2 - 1, and the one-sided density there (its
        integral from 0 to 1/2 is the mean square error of a sample), both float64, (segment / 2 - 1,).

    Raises:
        TypeError: as for `sigma_delta`.
        ValueError: as for `sigma_delta`; y is not (N, M) with N >= 1, or segment does not fit.

    References:
        Welch (1967), IEEE Transactions on Audio and Electroacoustics 15(2).
    """
    if y.ndim != 2 or not len(y):
        raise ValueError(f"error_spectrum: y must have shape (n, m) with n at least 1, got {tuple(y.shape)}")
    if segment % 2 or not 8 <= segment <= y.shape[1]:
        raise ValueError(f"error_spectrum: segment must be even and in [8, {y.shape[1]}], got {segment}")
    error_NM = (y - sigma_delta(y, order, overload=overload)).double()
    segments = error_NM.unfold(1, segment, segment // 2)
    window = torch.hann_window(segment, dtype=torch.float64, device=y.device)
    # The mean stays: what a segment's own mean takes away is itself noise, and the window would spread it.
    power_F = torch.fft.rfft(segments * window).abs().square().flatten(0, 1).mean(0) / window.square().sum()
    frequency_F = torch.arange(1, segment // 2, dtype=torch.float64, device=y.device) / segment
    return frequency_F, 2 * power_F[1:-1]


def state_histogram(y: Tensor, order: int, *, bins: int = 100, overload: Overload = "allow") -> tuple[Tensor, Tensor]:
    """Count the states v that an input drives the quantizer through.

    Args:
        y: input as for `sigma_delta`, (..., M), not empty.
        order: 0 to 3.
        bins: B >= 1.
        overload: as for `sigma_delta`.

    Returns:
        Edges of the bins, float64, (B + 1,), from -peak to peak with peak = max(1, max |v|), and the density, float64,
        (B,), of integral 1.

    Raises:
        TypeError: as for `sigma_delta`.
        ValueError: as for `sigma_delta`; y is empty or bins is below 1.
    """
    if not y.numel() or bins < 1:
        raise ValueError(
            f"state_histogram: y must not be empty and bins at least 1, got shape {tuple(y.shape)} and {bins}"
        )
    v = sigma_delta_states(y, order, overload=overload)[1].double().flatten().cpu()
    peak = max(1.0, float(v.abs().max()))
    counts, edges = torch.histogram(v, bins, range=(-peak, peak), density=True)
    return edges, counts
