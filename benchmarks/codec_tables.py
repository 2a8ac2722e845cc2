"""Tables of `results/codecs.json`."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import markdown


def codecs(results: dict[str, Any]) -> str:
    """Every method at the same bytes, tables spread over the vocabulary."""
    rows = [
        [
            f"{row['data']}, {row['compression']}x",
            f"{row['method']} {row['setting']}",
            f"{row['total_bytes']:.2f}",
            f"{row['code_bytes'] + row.get('escape_bytes', 0):.2f}",
            _identity(row["identity"]),
            f"{row['recall']:.3f} / {row['recall_held_out']:.3f}",
            f"{row['mse']:.3f} / {row['mse_held_out']:.3f}",
            f"{row['encoded_per_s']:,.0f}" + (f" / {row['verified_per_s']:,.0f}" if "verified_per_s" in row else ""),
        ]
        for part in results["equal_total_bytes"].values()
        for row in part
    ]
    columns = ["vectors", "method", "bytes, all", "bytes, codes", "identity", "recall@10, vocabulary / held out"]
    return markdown([*columns, "MSE/variance, vocabulary / held out", "encoded/s, / verified"], rows)


def _identity(value: float) -> str:
    """Three digits, and 1.000 only for all."""
    return "1.000" if value == 1 else f"{min(value, 0.9994):.3f}"


def codec_bytes(results: dict[str, Any]) -> str:
    """Where the codec's bytes are."""
    rows = [
        [
            f"{row['data']}, {row['compression']}x",
            f"{row['rows']:,} x {row['dim']}",
            *(f"{row[name]:.3f}" for name in ("code_bytes", "escape_bytes", "table_bytes", "total_bytes")),
            f"{4 * row['dim'] / row['total_bytes']:.1f}x",
            f"{row['escape_rate']:.2%}",
            str(row["duplicates"]),
            f"{row['recall_symmetric']:.3f}",
            f"{row['train_s']:.0f}",
        ]
        for part in results["equal_total_bytes"].values()
        for row in part
        if row["method"] == "sdquant.Codec"
    ]
    columns = ["vectors", "vocabulary", "codes", "escapes", "codec", "all, bytes a vector", "compression", "escaped"]
    return markdown([*columns, "duplicates", "symmetric recall@10", "fit, s"], rows)


def code_bytes(results: dict[str, Any]) -> str:
    """Every method at the same bytes of codes."""
    rows = [
        [
            f"{row['bytes']}",
            f"{row['method']} {row['setting']}",
            f"{row['table_bytes']:.2f}",
            _identity(row["identity"]),
            f"{row['recall_held_out']:.3f}",
            f"{row['mse']:.3f}",
            "-" if row["train_s"] is None else f"{row['train_s']:.0f}",
            f"{row['encoded_per_s']:,.0f}",
        ]
        for row in results["equal_code_bytes"]
    ]
    columns = ["code bytes", "method", "table bytes a vector", "identity", "recall@10", "MSE/variance", "train, s"]
    return markdown([*columns, "encoded/s"], rows)


def symbols(results: dict[str, Any]) -> str:
    """Squared error by symbol size and restarts."""
    rows = [
        [
            f"{row['symbols']}x{row['bits_per_symbol']}",
            str(row["restarts"]),
            f"{row['mse']:.4f}",
            f"{row['encoded_per_s']:,.0f}",
        ]
        for row in results["symbols"]
    ]
    return markdown(["symbols x bits", "restarts", "MSE/variance", "encoded/s"], rows)


def blocks(results: dict[str, Any]) -> str:
    """Squared error by blocks."""
    rows = [[str(row["blocks"]), f"{row['mse']:.4f}"] for row in results["blocks"]]
    return markdown(["blocks", "MSE/variance"], rows)


def ablation(results: dict[str, Any]) -> str:
    """With and without the residual network."""
    rows = [
        [
            "with" if row["refinement"] else "without",
            row["setting"].split(" ")[0],
            f"{row['total_bytes']:.2f}",
            f"{row['recall_held_out']:.3f}",
            f"{row['mse']:.4f} / {row['mse_held_out']:.4f}",
            f"{row['train_s']:.0f}",
        ]
        for row in results["ablation"]
    ]
    columns = [
        "residual network",
        "symbols",
        "bytes, all",
        "recall@10, held out",
        "MSE/variance, vocabulary / held out",
    ]
    return markdown([*columns, "fit, s"], rows)


def encoding(results: dict[str, Any]) -> str:
    """Vectors a second, in turn with RQ."""
    rows = [[row["code"], f"{row['encoded_per_s']:,.0f}"] for row in results["encoding"]]
    return markdown(["code", "vectors/s"], rows)


def codec_growth(results: dict[str, Any]) -> str:
    """Seconds of each stage against size, and slopes."""
    stages = ("fit_s", "encode_s", "verify_s")
    rows = [
        [f"{row['rows']:,}", str(row["bits"]), str(row["dim"]), *(f"{row[stage]:.2f}" for stage in stages)]
        for row in results["growth"]
    ]
    rows += [
        [f"slope in {varied}", "", "", *(f"{found[stage]:.2f}" for stage in stages)]
        for varied, found in results["slopes"].items()
    ]
    return markdown(["vectors", "bits", "d", "fit (5 rounds), s", "encode, s", "verify, s"], rows)
