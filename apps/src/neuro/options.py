"""Options that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE.toml")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, over the file's: section.key=value. Repeatable.", metavar="KEY=VALUE"),
]
VectorsSet = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting of the vectors: vectors.key=value. Repeatable.", metavar="KEY=VALUE"),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:i.")]
Seed = Annotated[int | None, typer.Option(help="Keys everything that is drawn.")]
Nproc = Annotated[int, typer.Option(help="Processes on this machine, under torchrun.", min=1)]
Resume = Annotated[
    str,
    typer.Option(
        help="auto: go on from the newest checkpoint of --out, or of the last run with these settings.",
        metavar="auto|never|PATH",
    ),
]
RunFolder = Annotated[Path | None, typer.Option("--out", help="Run folder.", metavar="RUN_DIR")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, warnings only.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the settings and what would be done.")]
TensorBoard = Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard scalars.")]
Vectors = Annotated[
    str | None,
    typer.Option(
        "--vectors", help="samples:glove-50d, samples:minilm, a file, or several joined by +.", metavar="SOURCE"
    ),
]
TrainingVectors = Annotated[
    str | None,
    typer.Option(
        "--vectors",
        help="samples:glove-50d, samples:minilm, a file, hf:MODEL, or several joined by +; sentences:FILE encodes the "
        "texts of a file, one a line.",
        metavar="SOURCE",
    ),
]
SentenceModel = Annotated[
    str | None,
    typer.Option(
        help="Encodes texts: a folder or hub name of sentence-transformers; samples:all-MiniLM-L6-v2 by default.",
        metavar="MODEL",
    ),
]
SeveralVectors = Annotated[
    list[str] | None,
    typer.Option(
        "--vectors",
        help="samples:glove-50d, samples:minilm, or a file. Repeat it, or join by +, for parts of one codec.",
        metavar="SOURCE",
    ),
]
Limit = Annotated[int | None, typer.Option(help="Read this many words only; 0 for all.", min=0)]
Bits = Annotated[str | None, typer.Option(help="Prefix lengths in bits.", metavar="256,512,1024")]
Model = Annotated[
    Path, typer.Option("--model", help="A run folder of `embed train`, or its model file.", metavar="RUN")
]
AnyModel = Annotated[
    Path,
    typer.Option("--model", help="A run folder of `embed train` or `embed fit`, or its model or codec.", metavar="RUN"),
]


def print_version(wanted: bool) -> None:
    """Print the members' versions and exit."""
    if wanted:
        from importlib.metadata import version

        for name in (
            "neuro",
            "sdquant",
            "binemb",
            "spikecode",
            "spikeformer",
            "evosnn",
            "neuro-lsm",
            "neuro-ddp-utils",
        ):
            typer.echo(f"{name} {version(name)}")
        raise typer.Exit


def parse_bits(text: str | None) -> list[int] | None:
    """Prefix lengths as typed, comma-separated.

    Raises:
        ValueError: not a list of numbers.
    """
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--bits: expected numbers such as 256,512,1024, got {text!r}") from None


def join_sources(sources: list[str] | None) -> str | None:
    """Sources as one, in the words of `load_vectors`.

    Raises:
        ValueError: a file whose name has a + stands among several.
    """
    if not sources:
        return None
    for source in sources if len(sources) > 1 else ():
        if "+" in source and Path(source).exists():
            raise ValueError(f"--vectors {source}: a name with + cannot stand among several sources; rename the file")
    return "+".join(sources)
