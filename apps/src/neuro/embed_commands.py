"""`neuro embed`: fit, train, encode, decode, index, search, evaluate, look inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuro import codec_commands
from neuro.options import (
    AnyModel,
    Bits,
    ConfigFile,
    Device,
    DryRun,
    Json,
    Limit,
    Model,
    Nproc,
    Quiet,
    Resume,
    RunFolder,
    Seed,
    Settings,
    SeveralVectors,
    TensorBoard,
    Vectors,
    VectorsSet,
    join_sources,
    parse_bits,
)

app = typer.Typer(no_args_is_help=True, help="Embeddings as codes: codecs, and nested binary codes.")

app.command()(codec_commands.fit)


@app.command()
def train(
    vectors: Vectors = None,
    limit: Limit = None,
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
    """Train a nested binary code on word vectors, on any number of processes."""
    from neuro.config import resolve
    from neuro.embed_settings import EmbedTrainSettings
    from neuro.output import print_json, print_table, say
    from neuro.run_folder import check_processes, own_arguments, plan_run, relaunch, resumed_config

    flags = {
        "vectors.source": vectors,
        "vectors.limit": limit,
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
    from ddp_utils import is_launched

    if nproc > 1 and not is_launched():
        plan = plan_run("embed-train", resolved, out=out, resume=resume)
        extra = ["--out", str(plan.folder), "--resume", plan.resume or "never"]
        relaunch(own_arguments(without=["--nproc", "--out", "--resume"], extra=extra), nproc=nproc)
    from neuro import embed_train

    summary = embed_train.train(resolved, out=out, resume=resume, quiet=quiet, tensorboard=tensorboard)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    rows = [[name, f"{value:.5f}"] for name, value in summary["validation"].items()]
    print_table("Held-out words, last validation", ["loss", "value"], rows)
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
    from neuro.run_folder import check_processes, own_arguments, relaunch

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


@app.command()
def index(
    codes: Annotated[Path, typer.Option("--codes", help="Codes file of `embed encode` or `embed train`.")],
    out: Annotated[Path, typer.Option("--out", help="Index file to write.", metavar="FILE")],
    bits: Annotated[int | None, typer.Option(help="Index the first BITS bits only.")] = None,
    kind: Annotated[Literal["flat"], typer.Option(help="flat: exhaustive and exact.")] = "flat",
    as_json: Json = False,
) -> None:
    """Build a search index from codes."""
    from neuro import embed_codes
    from neuro.output import print_json, say

    summary = embed_codes.build_index(codes, out, n_bits=bits, kind=kind)
    if as_json:
        print_json(summary)
    else:
        say(f"{summary['codes']:,} codes of {summary['n_bits']} bits ({summary['kind']}): {summary['index']}")


@app.command()
def search(
    model: Model,
    query: Annotated[list[str], typer.Option("--query", "-q", help='A word, or "king - man + woman". Repeatable.')],
    k: Annotated[int, typer.Option("-k", help="Words to return.", min=1)] = 10,
    space: Annotated[Literal["binary", "float"], typer.Option(help="Compare bits, or prepared vectors.")] = "binary",
    bits: Annotated[int | None, typer.Option(help="Compare the first BITS bits only.")] = None,
    index: Annotated[Path | None, typer.Option("--index", help="An index of `embed index`.")] = None,
    vectors: Vectors = None,
    limit: Limit = None,
    settings: VectorsSet = None,
    as_json: Json = False,
) -> None:
    """Nearest words of a word or of a sum of words; the query's own words are left out."""
    from dataclasses import asdict

    from ddp_utils import setup_logging

    from neuro import embed_search
    from neuro.embed_run import open_trained, resolve_for_model
    from neuro.embed_settings import TrainedSettings
    from neuro.output import print_json, print_table

    setup_logging(quiet=True)
    flags = {"vectors.source": vectors, "vectors.limit": limit}
    run = open_trained(
        model, resolve_for_model(TrainedSettings, model, assignments=settings or (), flags=flags).vectors
    )
    found = {text: embed_search.search(run, text, k=k, space=space, n_bits=bits, index=index) for text in query}
    if as_json:
        print_json([{"query": text, "answers": [asdict(a) for a in answers]} for text, answers in found.items()])
        return
    for text, answers in found.items():
        rows = [[a.word, f"{a.similarity:.3f}", "" if a.distance is None else str(a.distance)] for a in answers]
        print_table(text, ["word", "similarity", "bits apart"], rows)


@app.command(name="eval")
def evaluate(
    model: AnyModel,
    vectors: SeveralVectors = None,
    limit: Limit = None,
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Seed = None,
    out: RunFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Judge a codec or a run's codes beside float32: similarity, analogies, recall, reconstruction, bytes."""
    from dataclasses import asdict

    from neuro.config import to_toml
    from neuro.embed_run import open_trained, resolve_for_model
    from neuro.embed_settings import EmbedEvalSettings
    from neuro.file_kind import holds_codec
    from neuro.output import check_writable, print_json, print_table, say

    flags = {"vectors.source": join_sources(vectors), "vectors.limit": limit, "seed": seed}
    resolved = resolve_for_model(EmbedEvalSettings, model, file=config, assignments=settings or (), flags=flags)
    folder = out or (model if model.is_dir() else model.parent)
    check_writable(folder / "eval.html")
    if dry_run:
        print_json(asdict(resolved)) if as_json else say(
            f"{to_toml(resolved)}\n# would write plots and eval.html to {folder}"
        )
        return
    if holds_codec(model):
        codec_commands.evaluate(model, folder, resolved, as_json=as_json, quiet=quiet)
        return
    from ddp_utils import setup_logging

    from neuro import embed_eval
    from neuro.report import write_report
    from neuro.scoreboard import score_notes, score_table

    setup_logging(quiet=quiet)
    run = open_trained(model, resolved.vectors)
    result = embed_eval.evaluate(run, resolved.evaluation, seed=resolved.seed, plots=folder / "plots", quiet=quiet)
    report = write_report(
        folder / "eval.html", "neuro embed eval", embed_eval.evaluation_sections(result, resolved.evaluation)
    )
    if as_json:
        scores = [score.to_dict() for score in result.scores]
        files = {"report": str(report), "plots": [str(path) for path in result.pictures]}
        print_json({"model": str(model), "scores": scores, "not_measured": result.missing, **files})
        return
    print_table(f"{len(run.vectors):,} words of {run.vectors.source}", *score_table(result.scores, resolved.evaluation))
    say(score_notes(resolved.evaluation, result.missing))
    say(f"\nplots {folder / 'plots'}\nreport {report}")


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
