"""`neuro embed`: fit, train, encode, decode, index, search, evaluate, look inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neuro import codec_commands, embed_eval_command, embed_search_commands
from neuro.options import (
    AnyModel,
    Bits,
    ConfigFile,
    Device,
    DryRun,
    Json,
    Limit,
    Nproc,
    Quiet,
    Resume,
    RunFolder,
    Seed,
    SentenceModel,
    Settings,
    SeveralVectors,
    TensorBoard,
    TrainingVectors,
    VectorsSet,
    join_sources,
    parse_bits,
)

app = typer.Typer(no_args_is_help=True, help="Embeddings as codes: codecs, and nested binary codes.")

app.command()(codec_commands.fit)


@app.command()
def train(
    vectors: TrainingVectors = None,
    limit: Limit = None,
    sentence_model: SentenceModel = None,
    bits: Bits = None,
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
    """Train a nested binary code on vectors of words or of texts, on any number of processes."""
    from neuro.config import resolve
    from neuro.embed_settings import EmbedTrainSettings
    from neuro.launching import check_processes, relaunch_run
    from neuro.output import print_json, print_table, say
    from neuro.run_folder import resumed_config

    flags = {
        "vectors.source": vectors,
        "vectors.limit": limit,
        "vectors.sentence_model": sentence_model,
        "bits": parse_bits(bits),
        "seed": seed,
        "device": device,
    }
    base = resumed_config(out, resume)
    resolved = resolve(EmbedTrainSettings, base=base, file=config, assignments=settings or (), flags=flags)
    check_processes(nproc, resolved.device)
    if dry_run:
        show_plan("embed-train", resolved, out=out, resume=resume, nproc=nproc, as_json=as_json)
        return
    relaunch_run("embed-train", resolved, out=out, resume=resume, nproc=nproc)
    from neuro import embed_train

    summary = embed_train.train(resolved, out=out, resume=resume, quiet=quiet, tensorboard=tensorboard)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    rows = [[name, f"{value:.5f}"] for name, value in summary["validation"].items()]
    print_table("Held-out rows, last validation", ["loss", "value"], rows)
    say(f"model {summary['model']}\ncodes {summary['codes']}\nreport {summary['run']}/report.html")


def show_plan(command: str, settings: Any, *, out: Path | None, resume: str, nproc: int, as_json: bool) -> None:
    """Print the settings that hold and what would be done with them."""
    from dataclasses import asdict

    from ddp_utils.distributed import resolve_device

    from neuro.config import to_toml
    from neuro.output import print_json, say
    from neuro.run_folder import check_goes_on, plan_run

    plan = plan_run(command, settings, out=out, resume=resume)
    check_goes_on(plan, settings)
    resolve_device(settings.device)
    start = f"from {plan.resume} checkpoint" if plan.resume else "from scratch"
    if as_json:
        facts = {"run": str(plan.folder), "resume": plan.resume, "nproc": nproc}
        print_json({"settings": asdict(settings), **facts})
    else:
        say(to_toml(settings))
        say(f"# would run {command} {start} as {nproc} process(es) into {plan.folder}")


@app.command()
def encode(
    model: AnyModel,
    out: Annotated[Path, typer.Option("--out", help="Codes file to write.", metavar="FILE")],
    vectors: SeveralVectors = None,
    limit: Limit = None,
    bits: Annotated[int | None, typer.Option(help="Keep the first BITS bits only (binary codes).")] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Code each vector by itself, without seeing that all are found again.")
    ] = False,
    settings: VectorsSet = None,
    device: Device = None,
    nproc: Nproc = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encode vectors with a codec or a trained model; the result does not depend on the number of processes."""
    from ddp_utils import is_launched

    from neuro.embed_run import resolve_for_model
    from neuro.embed_settings import TrainedSettings
    from neuro.file_kind import holds_codec
    from neuro.launching import check_processes, own_arguments, relaunch

    check_processes(nproc, device or "auto")
    flags = {"vectors.source": join_sources(vectors), "vectors.limit": limit}
    resolved = resolve_for_model(TrainedSettings, model, assignments=settings or (), flags=flags)
    by_codec = holds_codec(model)
    codec_commands.check_encode(by_codec=by_codec, bits=bits, no_verify=no_verify, nproc=nproc)
    if nproc > 1 and not is_launched():
        relaunch(own_arguments(without=["--nproc"]), nproc=nproc)
    if by_codec:
        codec_commands.encode(
            model, out, resolved.vectors, verify=not no_verify, device=device or "auto", as_json=as_json, quiet=quiet
        )
        return
    from neuro import embed_codes
    from neuro.output import print_json, say

    summary = embed_codes.encode(
        model, out, vectors=resolved.vectors, n_bits=bits, device=device or "auto", quiet=quiet
    )
    if summary is None:
        return
    if as_json:
        print_json(summary)
    else:
        say(
            f"{summary['words']:,} words, {summary['n_bits']} bits, {summary['bytes_per_vector']} bytes each: "
            f"{summary['codes']}"
        )


app.command()(codec_commands.decode)


app.command()(embed_search_commands.index)
app.command()(embed_search_commands.search)
app.command(name="eval")(embed_eval_command.evaluate)


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="A run folder, a codec, model, codes or index file, or a vector file.")],
    as_json: Json = False,
) -> None:
    """Say what a run folder or file holds."""
    from neuro.embed_info import describe_path
    from neuro.output import print_json, say

    facts = describe_path(path)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        say(f"{name}: {value}")
