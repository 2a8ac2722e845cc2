"""Tables of `results/binemb_quality.json` and `results/binemb.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.markdown import markdown

MEASURES = {
    "EN-WS-353-ALL": "WordSim-353",
    "EN-SIMLEX-999": "SimLex-999",
    "EN-MEN-TR-3k": "MEN",
    "EN-RG-65": "RG-65",
    "EN-MTurk-771": "MTurk-771",
    "analogy": "analogies",
    "recall": "recall@10",
}


def quality(part: str) -> Callable[[dict[str, Any]], str]:
    """Table of a part: every method at every size, means over seeds and, of recall, the spread."""

    def table(results: dict[str, Any]) -> str:
        rows = []
        for row in results[part]["rows"]:
            figures = [f"{row[name]:.3f}" if name in row else "-" for name in MEASURES]
            spread = row["recall_seeds"]
            figures[-1] += f" ± {(max(spread) - min(spread)) / 2:.3f}" if len(spread) > 1 else ""
            rows.append([row["method"], str(row["bytes"]), str(row["seeds"]), *figures])
        return markdown(["method", "bytes", "seeds", *MEASURES.values()], rows)

    return table


def differences(part: str) -> Callable[[dict[str, Any]], str]:
    """Table of a part: ours less another at the same bytes, with 95% intervals over the items."""

    def table(results: dict[str, Any]) -> str:
        cells: dict[tuple[int, str, str], dict[str, str]] = {}
        for row in results[part]["differences"]:
            text = f"{row['difference']:+.3f} ({row['low']:+.3f}, {row['high']:+.3f})"
            cells.setdefault((row["bytes"], row["ours"], row["other"]), {})[row["measure"]] = text
        rows = [
            [f"{ours} - {other}", str(n_bytes), *(found.get(name, "-") for name in MEASURES)]
            for (n_bytes, ours, other), found in sorted(cells.items(), key=lambda item: (item[0][1:], item[0][0]))
        ]
        return markdown(["difference", "bytes", *MEASURES.values()], rows)

    return table


def cranfield(results: dict[str, Any]) -> str:
    """Retrieval by method and bytes."""
    rows = []
    for row in results["cranfield"]["rows"]:
        above = [row.get(f"above {name}, Hamming") for name in ("random rotations", "ITQ")]
        cells = ["-" if found is None else "{:+.3f} ({:+.3f}, {:+.3f})".format(*found) for found in above]
        figures = [f"{row[name]:.3f}" for name in ("ndcg", "recall", "mrr")]
        rows.append([row["method"], str(row["bytes"]), str(row["seeds"]), *figures, *cells])
    columns = ["method", "bytes", "seeds", "nDCG@10", "recall@10", "MRR@10"]
    return markdown([*columns, "nDCG above random rotations", "nDCG above ITQ"], rows)


def asymmetric(results: dict[str, Any]) -> str:
    """Means over the seeds of bits alone and of decoded questions, or float queries, against bits."""
    part, rows = results["asymmetric"], []
    for bits in sorted({row["bits"] for row in part["rows"]}):
        of_size = [row for row in part["rows"] if row["bits"] == bits]
        for title, key in (("bits alone", ""), ("asymmetric", "_asymmetric")):
            analogy, recall = (sum(row[name + key] for row in of_size) / len(of_size) for name in ("analogy", "recall"))
            share = analogy / part["float_analogy"]
            rows.append([f"{bits}, {title}", str(len(of_size)), f"{analogy:.3f}", f"{share:.1%}", f"{recall:.3f}"])
    rows.append(["float32, prepared", "1", f"{part['float_analogy']:.3f}", "100%", "1.000"])
    return markdown(["bits, compared by", "seeds", "analogies", "of the float figure", "recall@10"], rows)


def preset(results: dict[str, Any]) -> str:
    """Cosine of decoded held-out words by level."""
    rows = [
        [str(row["bits"]), f"{row['cosine']:.4f}", f"{row['least_cosine']:.4f}"] for row in results["preset"]["rows"]
    ]
    return markdown(["bits", "mean cosine of held-out words", "least"], rows)


def search(results: dict[str, Any]) -> str:
    """Every kind of index beside raw faiss."""
    rows = [
        [
            row["kind"],
            str(row["bits"]),
            f"{row['codes']:,}",
            f"{row['fill_s']:.1f} / {row['faiss_fill_s']:.1f}",
            f"{row['save_s']:.2f}",
            f"{row['map_s']:.2f}",
            f"{row['file_mib']:.0f}",
            f"{row['binemb_queries_per_s']:,.0f} / {row['faiss_queries_per_s']:,.0f}",
            f"{row['ratio']:.2f}",
            f"{row['recall']:.3f} / {row['faiss_recall']:.3f}",
        ]
        for row in results["search"]
    ]
    columns = ["kind", "bits", "codes", "fill / faiss, s", "save, s", "map, s", "file, MiB"]
    return markdown([*columns, "queries/s / faiss", "ratio", "recall@10 / faiss"], rows)


def growth(results: dict[str, Any]) -> str:
    """Seconds of each stage, and log-log slopes."""
    stages = ("load_s", "train_s", "encode_s", "analogy_s")
    rows = [
        [
            f"{row['words']:,}",
            *(f"{row[name]:.1f}" for name in stages),
            f"{row['analogy_questions']:,}",
            f"{row['peak_mib']:,.0f}",
        ]
        for row in results["growth"]
    ]
    slopes = results["slopes"]
    rows.append(["slope", *(f"{slopes[name]:.2f}" for name in stages), "", f"{slopes['peak_mib']:.2f}"])
    return markdown(["words", "load, s", "train, s", "encode, s", "analogies, s", "questions", "peak MiB"], rows)
