"""`neuro embed index` and `neuro embed search`: options; the work is in `embed_codes` and `embed_search`."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Annotated, Literal

import typer

from neuro.options import ConfigFile, Json, Limit, Model, Vectors, VectorsSet

SHOWN = 100  # characters of a text in a table


def index(
    codes: Annotated[Path, typer.Option("--codes", help="Codes file of `embed encode` or `embed train`.")],
    out: Annotated[Path, typer.Option("--out", help="Index file to write.", metavar="FILE")],
    bits: Annotated[int | None, typer.Option(help="Index the first BITS bits only.")] = None,
    kind: Annotated[
        Literal["flat", "ivf", "hnsw", "hash"],
        typer.Option(
            help="flat: exhaustive and exact. ivf (lists), hnsw (graph) and hash (tables) compare with fewer codes and "
            "can miss some."
        ),
    ] = "flat",
    config: ConfigFile = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="One parameter of the kind, index.key=value. ivf: n_lists, n_probe, seed. hnsw: m, ef_construction, "
            "ef_search, seed. hash: hash_bits, n_tables, n_flips. Repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Build a search index from codes."""
    from neuro import embed_codes
    from neuro.config import resolve
    from neuro.embed_settings import EmbedIndexSettings
    from neuro.output import print_json, say

    resolved = resolve(EmbedIndexSettings, file=config, assignments=settings or (), flags={})
    summary = embed_codes.build_index(codes, out, n_bits=bits, kind=kind, parameters=resolved.index)
    if as_json:
        print_json(summary)
        return
    parameters = "".join(f", {name} {value}" for name, value in summary["parameters"].items())
    say(f"{summary['codes']:,} codes of {summary['n_bits']} bits ({summary['kind']}{parameters}): {summary['index']}")


def search(
    model: Model,
    query: Annotated[
        list[str],
        typer.Option(
            "--query",
            "-q",
            help='A word, or "king - man + woman"; any text for a run of sentences:FILE. Repeatable.',
        ),
    ],
    k: Annotated[int, typer.Option("-k", help="Words to return.", min=1)] = 10,
    space: Annotated[Literal["binary", "float"], typer.Option(help="Compare bits, or prepared vectors.")] = "binary",
    bits: Annotated[int | None, typer.Option(help="Compare the first BITS bits only.")] = None,
    index: Annotated[Path | None, typer.Option("--index", help="An index of `embed index`.")] = None,
    rescore: Annotated[
        Literal["none", "asymmetric", "float"],
        typer.Option(
            help="Score what was found again: the float query against decoded codes (asymmetric), or against the "
            "vectors (float)."
        ),
    ] = "none",
    oversample: Annotated[
        int | None,
        typer.Option(help="Codes found a hit: 4 by default with --rescore, 16 with --shortlist-bits.", min=1),
    ] = None,
    shortlist_bits: Annotated[
        int | None, typer.Option(help="Funnel: find by the first N bits, order by --bits.", metavar="N")
    ] = None,
    n_probe: Annotated[int | None, typer.Option(help="Lists to read; for an ivf --index.", min=1)] = None,
    ef_search: Annotated[int | None, typer.Option(help="Codes to keep; for an hnsw --index.", min=1)] = None,
    n_flips: Annotated[int | None, typer.Option(help="Bits to flip; for a hash --index.", min=0)] = None,
    memory_map: Annotated[bool, typer.Option("--memory-map", help="Leave the codes of --index in the file.")] = False,
    vectors: Vectors = None,
    limit: Limit = None,
    settings: VectorsSet = None,
    as_json: Json = False,
) -> None:
    """Nearest words of a word or of a sum of words, the query's own words left out; or nearest texts of a text."""
    from dataclasses import asdict

    from ddp_utils import setup_logging

    from neuro.embed_run import open_trained, resolve_for_model
    from neuro.embed_search import Searcher, SearchOptions
    from neuro.embed_settings import TrainedSettings
    from neuro.output import print_json, print_table

    setup_logging(quiet=True)
    given = {"n_probe": n_probe, "ef_search": ef_search, "n_flips": n_flips}
    options = SearchOptions(
        space=space,
        n_bits=bits,
        index=index,
        rescore=rescore,
        oversample=oversample,
        shortlist_bits=shortlist_bits,
        memory_map=memory_map,
        tuned={name: value for name, value in given.items() if value is not None},
    )
    flags = {"vectors.source": vectors, "vectors.limit": limit}
    run = open_trained(
        model, resolve_for_model(TrainedSettings, model, assignments=settings or (), flags=flags).vectors
    )
    searcher = Searcher(run, options)
    found = {text: searcher.nearest(text, k=k) for text in query}
    if as_json:
        print_json([{"query": text, "answers": [asdict(a) for a in answers]} for text, answers in found.items()])
        return
    kind = "word" if run.sentence_model is None else "text"
    for text, answers in found.items():
        rows = [
            [shorten(a.word, SHOWN, placeholder=" ..."), f"{a.similarity:.3f}", _distance(a.distance)] for a in answers
        ]
        print_table(text, [kind, "similarity", "bits apart"], rows)


def _distance(distance: int | None) -> str:
    return "" if distance is None else str(distance)
