"""`neuro spike train` and `generate`: options; the work is in `spike_train` and `spike_generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuro.options import (
    ConfigFile,
    Device,
    DryRun,
    Json,
    Nproc,
    Quiet,
    Resume,
    RunFolder,
    Seed,
    Settings,
    TensorBoard,
)

LanguageModelRunFolder = Annotated[
    Path, typer.Option("--model", help="A run folder of `spike train`.", metavar="RUN_DIR")
]


def train(
    data: Annotated[
        str | None,
        typer.Option(
            help="A folder of `data tokenize`; or a text, read as bytes: a file, a folder, a pattern, hf:DATASET, "
            "samples:lee.",
            metavar="FOLDER|TEXT",
        ),
    ] = None,
    dense: Annotated[bool, typer.Option("--dense", help="Train the twin without spikes.")] = False,
    twin: Annotated[bool, typer.Option("--twin", help="Train the spiking model and its twin without spikes.")] = False,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.", min=1)] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    nproc: Nproc = 1,
    resume: Resume = "never",
    out: RunFolder = None,
    tensorboard: TensorBoard = False,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Train a spiking language model on a text, on any number of processes."""
    from neuro.config import ConfigError, resolve
    from neuro.embed_commands import show_plan
    from neuro.language_data import check_data
    from neuro.launching import check_processes, relaunch_run
    from neuro.output import print_json, print_table, say
    from neuro.run_folder import resumed_config
    from neuro.spikeformer_settings import SpikeTrainSettings

    if dense and twin:
        raise ConfigError("--dense: --twin trains the twin too; leave one of them out")
    flags = {
        "data.source": data,
        "kind": "dense" if dense else "both" if twin else None,
        "train.steps": steps,
        "seed": seed,
        "device": device,
    }
    base = resumed_config(out, resume)
    resolved = resolve(SpikeTrainSettings, base=base, file=config, assignments=settings or (), flags=flags)
    check_processes(nproc, resolved.device)
    check_data(resolved.data.source, resolved.model.vocab_size)
    if dry_run:
        show_plan("spike-train", resolved, out=out, resume=resume, nproc=nproc, as_json=as_json)
        return
    relaunch_run("spike-train", resolved, out=out, resume=resume, nproc=nproc)
    from neuro import spike_train

    summary = spike_train.train(resolved, out=out, resume=resume, quiet=quiet, tensorboard=tensorboard)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    rows = [spike_train.table_row(kind, facts) for kind, facts in summary["models"].items()]
    print_table("Validation text, best validation", spike_train.COLUMNS, rows)
    for facts in summary["models"].values():
        say(f"model {facts['model']}")
    say(f"report {summary['report']}")


def generate(
    model: LanguageModelRunFolder,
    prompt: Annotated[str, typer.Option(help="The text to go on with; the end of a document without it.")] = "",
    n: Annotated[int | None, typer.Option("-n", "--tokens", help="Tokens to make, 400 by default.", min=0)] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Less is safer, 0.8 by default; 0 takes the likeliest token.", min=0)
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Draw among the K likeliest tokens; 0, the default: among all.", min=0)
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Go on with a text, token by token, in memory that does not grow with it."""
    from dataclasses import asdict

    from neuro.config import resolve, to_toml
    from neuro.launching import check_single_process
    from neuro.output import print_json, say
    from neuro.spikeformer_settings import GenerateSettings

    flags = {"tokens": n, "temperature": temperature, "top_k": top_k, "seed": seed, "device": device}
    resolved = resolve(GenerateSettings, file=config, assignments=settings or (), flags=flags)
    check_single_process("spike generate")
    from neuro import spike_generate

    if dry_run:
        spike_generate.check(model, prompt, resolved)
        if as_json:
            print_json({"settings": asdict(resolved), "model": str(model), "prompt": prompt})
        else:
            say(f"{to_toml(resolved)}\n# would make {resolved.tokens} tokens by {model}")
        return
    spike_generate.generate_text(model, prompt, resolved, as_json=as_json, quiet=quiet)
