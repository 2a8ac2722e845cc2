"""Tables of `results/spikecode.json`."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import markdown


def speed(results: dict[str, Any]) -> str:
    """Seconds and memory of one token."""
    part = results["speed"]
    rows = [
        [
            row["encoder"],
            f"{row['median_s'] * 1000:,.1f}",
            f"{row['times_faster']:,.1f}x",
            "-" if row["peak_mib"] is None else f"{row['peak_mib']:,.1f}",
        ]
        for row in part["rows"]
    ]
    streamed = part["peak_mib"]["spikecode, 32 tokens streamed"]
    rows.append(["spikecode, 32 tokens by `encode_stream`", "-", "-", "-" if streamed is None else f"{streamed:,.1f}"])
    token = f"{part['dim']} x {part['neurons']:,} x {part['steps']}"
    return markdown([f"encoder, one token of {token}", "ms", "faster than torch.bernoulli", "peak MiB"], rows)


def errors(results: dict[str, Any]) -> str:
    """Error over the bound by N, T, peak rate and decoder."""
    found = {(r["neurons"], r["steps"], r["max_rate"], r["method"]): r for r in results["errors"]}
    rates = sorted({key[2] for key in found})
    rows = []
    for neurons, steps in dict.fromkeys((key[0], key[1]) for key in found):
        ml = [f"{found[neurons, steps, rate, 'ml']['over_bound']:.3f}" for rate in rates]
        centre = found[neurons, steps, rates[-1], "centre_of_mass"]["over_bound"]
        bound = found[neurons, steps, rates[-1], "ml"]["bound"]
        rows.append([f"{neurons:,} x {steps:,}", *ml, f"{centre:.3f}", f"{centre**-2:.0%}", f"{bound:.2e}"])
    columns = [f"ML, {rate:,.0f} Hz" for rate in rates]
    more = [f"centre of mass, {rates[-1]:,.0f} Hz", "its efficiency", f"bound, {rates[-1]:,.0f} Hz, of the range"]
    return markdown(["N x T", *columns, *more], rows)


def slopes(results: dict[str, Any]) -> str:
    """Log-log slopes of the error."""
    rows = [
        [f"{row['scheme']}, {row['varied']}", f"{row['theory']:+.2f}", f"{row['slope']:+.3f}"]
        for row in results["slopes"]
    ]
    return markdown(["scheme, what is varied", "theory", "measured"], rows)


def robustness(results: dict[str, Any]) -> str:
    """Error of damaged trains over the bound of whole ones."""
    methods = {
        "ml": "ML",
        "ml_nothing_lost": "ML, `lost=0`",
        "ml_told": "ML that is told",
        "centre_of_mass": "centre of mass",
    }
    rows = [
        [row["damage"], f"{row['max_rate']:,.0f}", *(f"{row[name]:.3f}" for name in methods)]
        for row in results["robustness"]
    ]
    return markdown(["damage", "peak, Hz", *methods.values()], rows)


def identity(results: dict[str, Any]) -> str:
    """Tokens that come back, by N and T."""
    rows = [
        [
            f"{row['neurons']} x {row['steps']}",
            f"{row['tokens'] - row['wrong']:,} of {row['tokens']:,}",
            f"{row['bits_per_token']:,.0f}",
            f"{row['density']:.2%}",
            f"{row['cosine']:.4f}",
            f"{row['rmse_over_bound']:.3f}",
        ]
        for row in results["identity"]
    ]
    return markdown(["N x T", "found again", "bits a token", "density", "cosine", "RMSE over the bound"], rows)


def growth(results: dict[str, Any]) -> str:
    """Milliseconds and slopes."""
    rows = []
    for row in results["growth"]:
        times = [" / ".join(f"{1000 * seconds:.0f}" for seconds in row[f"{name}_s"]) for name in ("encode", "decode")]
        values = " / ".join(f"{value:,}" for value in row["values"])
        rows.append([f"{row['varied']}: {values}", times[0], f"{row['encode_slope']:.2f}", times[1]])
        rows[-1].append(f"{row['decode_slope']:.2f}")
    return markdown(["varied", "encode, ms", "slope", "decode, ms", "slope"], rows)
