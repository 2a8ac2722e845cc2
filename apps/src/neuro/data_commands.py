"""`neuro data`: texts as files of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from neuro.options import ConfigFile, DryRun, Json, Quiet, Seed, Settings

app = typer.Typer(no_args_is_help=True, help="Texts as files of tokens.")


@app.command()
def tokenize(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files (also .gz .bz2 .xz .zst), folders, patterns, hf:DATASET[:CONFIG][:SPLIT], or - for the "
            "standard input.",
            metavar="SOURCE...",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write.", metavar="FOLDER")] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="bytes, samples:minilm, a tokenizer.json, a folder, or a hub name.", metavar="NAME"),
    ] = None,
    documents: Annotated[
        Literal["auto", "file", "line", "blank", "json"] | None,
        typer.Option(help="What a document is: a file, a line, lines between blank ones, a JSON object a line."),
    ] = None,
    text_field: Annotated[str | None, typer.Option("--field", help="Where a JSON object or row has its text.")] = None,
    validation: Annotated[float | None, typer.Option(help="Share kept out for validation.")] = None,
    errors: Annotated[
        Literal["skip", "replace", "fail"] | None, typer.Option(help="What to do with a record that is not UTF-8.")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes that tokenize. Not --nproc: none of them runs under torchrun.", min=1)
    ] = 1,
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Tokenize texts into files for training and validation; started again after a stop, it goes on."""
    from dataclasses import asdict

    from neuro.config import ConfigError, resolve, to_toml
    from neuro.data_settings import DataTokenizeSettings
    from neuro.launching import check_single_process
    from neuro.output import check_writable, print_json, say
    from neuro.text_files import expand_sources

    flags = {
        "text.sources": sources,
        "tokenizer": tokenizer,
        "text.documents": documents,
        "text.field": text_field,
        "split.validation": validation,
        "text.errors": errors,
        "seed": seed,
    }
    resolved = resolve(DataTokenizeSettings, file=config, assignments=settings or (), flags=flags)
    check_single_process("data tokenize")
    if out is None:
        raise ConfigError("--out: name the folder that gets the tokens")
    check_writable(out / "config.toml")
    if dry_run:
        found = expand_sources(resolved.text.sources)
        if as_json:
            print_json({"settings": asdict(resolved), "files": found, "folder": str(out)})
        else:
            say(f"{to_toml(resolved)}\n# would tokenize {len(found)} source(s) into {out}")
        return
    from neuro import data_tokenize

    facts = data_tokenize.tokenize(resolved, out, workers=workers, quiet=quiet)
    if as_json:
        print_json(facts)
        return
    show(facts)
    if facts["skipped"] or facts["replaced"]:
        say(f"{facts['skipped']} records skipped, {facts['replaced']} mended")


@app.command()
def info(
    folder: Annotated[Path, typer.Argument(help="A folder of `data tokenize`, or one of its splits.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its checksum.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a folder of tokens holds, and whether it is whole."""
    from neuro import data_tokenize
    from neuro.output import print_json

    splits = data_tokenize.open_splits(folder)
    for tokens in splits.values() if verify else ():
        tokens.verify()
    facts = data_tokenize.summary(folder, splits) | ({"verified": True} if verify else {})
    print_json(facts) if as_json else show(facts)


def show(facts: dict) -> None:
    """Print what tokens there are."""
    from neuro.output import print_table, say

    rows = [[name, *(f"{value:,}" for value in split.values())] for name, split in facts["splits"].items()]
    columns = ["split", "tokens", "documents", "bytes", "characters", "files"]
    title = f"{facts['folder']}: {facts['tokenizer']['name']}, {facts['vocab_size']:,} entries, {facts['dtype']}"
    print_table(title, columns, rows)
    if facts.get("verified"):
        say("all checksums match")
