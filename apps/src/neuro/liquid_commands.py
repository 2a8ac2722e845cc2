"""`neuro liquid`: spiking networks of cortical architecture built, simulated, read out and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
)

app = typer.Typer(no_args_is_help=True, help="Cortical liquid state machines: built, simulated, read out, looked at.")
NetworkName = Annotated[
    str | None,
    typer.Option(
        "--network",
        help="maass, microcircuit, cortex, working_memory, a description FILE.toml, or a saved FILE.lsm.",
        metavar="NETWORK",
    ),
]
Neurons = Annotated[int | None, typer.Option(help="Of maass, cortex and working_memory.", min=1)]
Scale = Annotated[float | None, typer.Option(help="Share of the microcircuit's neurons and in-degrees, up to 1.")]
DataPath = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="digits: folder or tar archive of wav files named digit_speaker_index.wav; text: label<TAB>text lines.",
        metavar="PATH",
    ),
]
Columns = Annotated[int | None, typer.Option(help="Of cortex.", min=1)]


def network_flags(network: str | None, neurons: int | None, scale: float | None, columns: int | None) -> dict[str, Any]:
    """The options that say which network, as settings."""
    values = {"name": network, "neurons": neurons, "scale": scale, "columns": columns}
    return {f"network.{key}": value for key, value in values.items()}


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="Where the network goes, NAME.lsm.", metavar="FILE.lsm")] = Path(
        "network.lsm"
    ),
    network: NetworkName = None,
    neurons: Neurons = None,
    scale: Scale = None,
    columns: Columns = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    nproc: Nproc = 1,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Draw a network's synapses and save it; --dry-run says how large it would be."""
    from dataclasses import asdict

    from neuro.config import resolve, to_toml
    from neuro.launching import check_processes, own_arguments, relaunch
    from neuro.liquid_settings import LiquidBuildSettings
    from neuro.output import print_json, say

    flags = {**network_flags(network, neurons, scale, columns), "seed": seed, "device": device}
    resolved = resolve(LiquidBuildSettings, file=config, assignments=settings or (), flags=flags)
    check_processes(nproc, resolved.device)
    from neuro import liquid_build

    if dry_run:
        facts = liquid_build.plan(resolved)
        if as_json:
            print_json({"settings": asdict(resolved), **facts})
        else:
            say(f"{to_toml(resolved)}\n# would build {liquid_build.in_words(facts)}")
        return
    if nproc > 1:
        from ddp_utils import is_launched

        if not is_launched():
            relaunch(own_arguments(without=["--nproc"]), nproc=nproc)
    summary = liquid_build.build(resolved, out, quiet=quiet)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    say(liquid_build.in_words(summary))
    say(f"network {summary['file']}")


@app.command()
def simulate(
    network: NetworkName = None,
    neurons: Neurons = None,
    scale: Scale = None,
    columns: Columns = None,
    ms: Annotated[float | None, typer.Option(help="Simulated time in ms.")] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    nproc: Nproc = 1,
    resume: Resume = "never",
    out: RunFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Simulate a network: rates, rasters and other pictures, all spikes in a file, and the state to go on from."""
    from neuro.config import resolve
    from neuro.launching import check_processes, relaunch_run
    from neuro.liquid_settings import LiquidSimulateSettings
    from neuro.output import print_json, print_table, say
    from neuro.run_folder import resumed_config

    flags = {**network_flags(network, neurons, scale, columns), "ms": ms, "seed": seed, "device": device}
    base = resumed_config(out, resume)
    resolved = resolve(LiquidSimulateSettings, base=base, file=config, assignments=settings or (), flags=flags)
    check_processes(nproc, resolved.device)
    if dry_run:
        show_network_plan("liquid-simulate", resolved, out=out, resume=resume, nproc=nproc, as_json=as_json)
        return
    relaunch_run("liquid-simulate", resolved, out=out, resume=resume, nproc=nproc)
    from neuro import liquid_simulate

    summary = liquid_simulate.simulate(resolved, out=out, resume=resume, quiet=quiet)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    print_table("Populations", liquid_simulate.COLUMNS, liquid_simulate.table_rows(summary))
    say(liquid_simulate.in_words(summary))
    say(f"spikes {summary['files']['spikes']}\nreport {summary['report']}")


@app.command()
def train(
    task: Annotated[
        str | None,
        typer.Option(help="templates, delayed, xor, narma10, memory, digits or text.", metavar="TASK"),
    ] = None,
    data: DataPath = None,
    network: NetworkName = None,
    neurons: Neurons = None,
    columns: Columns = None,
    readout: Annotated[str | None, typer.Option(help="ridge, logistic or delta.", metavar="READOUT")] = None,
    samples: Annotated[int | None, typer.Option(help="Training streams, or values of a series.", min=1)] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    nproc: Nproc = 1,
    resume: Resume = "never",
    out: RunFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Train a readout of a liquid on a task and judge it beside controls, on any number of processes."""
    from neuro.config import resolve
    from neuro.launching import check_processes, relaunch_run
    from neuro.liquid_settings import LiquidTrainSettings
    from neuro.output import print_json, print_table, say
    from neuro.run_folder import resumed_config

    flags = {
        **network_flags(network, neurons, None, columns),
        "task.name": task,
        "task.data": None if data is None else str(data),
        "task.samples": samples,
        "readout.kind": readout,
        "seed": seed,
        "device": device,
    }
    base = resumed_config(out, resume)
    resolved = resolve(LiquidTrainSettings, base=base, file=config, assignments=settings or (), flags=flags)
    check_processes(nproc, resolved.device)
    if dry_run:
        show_network_plan("liquid-train", resolved, out=out, resume=resume, nproc=nproc, as_json=as_json)
        return
    relaunch_run("liquid-train", resolved, out=out, resume=resume, nproc=nproc)
    from neuro import liquid_train

    summary = liquid_train.train(resolved, out=out, resume=resume, quiet=quiet)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    columns_shown, rows = liquid_train.table(summary)
    print_table("Test rows", columns_shown, rows)
    say(liquid_train.in_words(summary))
    say(f"readout {summary['readout']}\nreport {summary['report']}")


@app.command("eval")
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder of `liquid train`.", metavar="RUN")],
    data: DataPath = None,
    part: Annotated[
        str, typer.Option(help="Names the streams or series that are drawn; another name draws others.", metavar="NAME")
    ] = "eval",
    settings: Settings = None,
    device: Device = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of answers and pictures; RUN/eval by default.", metavar="FOLDER"),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a trained readout on samples that it has not seen; --set task.KEY=VALUE changes the task."""
    from neuro.launching import check_single_process
    from neuro.output import print_json, say

    check_single_process("liquid eval")
    from neuro import liquid_eval

    assignments = [*(settings or ()), *([] if data is None else [f"task.data={data}"])]
    summary = liquid_eval.evaluate(run, out, assignments=assignments, part=part, device=device, quiet=quiet)
    if as_json:
        print_json(summary)
        return
    say(liquid_eval.in_words(summary))
    say(f"answers {summary['answers']}")


@app.command()
def plot(
    run: Annotated[Path, typer.Argument(help="Run folder of `liquid simulate`, or its spikes.", metavar="RUN")],
    picture: Annotated[
        str,
        typer.Option(
            help="raster, rates, activity, histogram, spectrum, avalanches, connectivity, graph, layout or film.",
            metavar="NAME",
        ),
    ] = "raster",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="NAME.png, .svg or .pdf; a film .gif, .html or .mp4; a graph also .graphml.", metavar="FILE"
        ),
    ] = None,
    begin: Annotated[float | None, typer.Option(help="In ms of the recording.", min=0)] = None,
    end: Annotated[float | None, typer.Option(help="In ms of the recording.", min=0)] = None,
    frames: Annotated[int, typer.Option(help="Pictures of a film.", min=2)] = 100,
    as_json: Json = False,
) -> None:
    """Draw a picture, a film or a graph of a simulation that has been run."""
    from neuro import liquid_plot
    from neuro.output import print_json, say

    target = out or Path(f"{picture}.gif" if picture == "film" else f"{picture}.png")
    facts = liquid_plot.plot(run, picture, target, begin=begin, end=end, frames=frames)
    if as_json:
        print_json(facts)
        return
    say(f"{facts['picture']} of {facts['begin']:g} to {facts['end']:g} ms: {facts['file']}")


def show_network_plan(command: str, settings: Any, *, out: Path | None, resume: str, nproc: int, as_json: bool) -> None:
    """Print the settings, the size of the network and what would be done."""
    from dataclasses import asdict

    from neuro import liquid_build
    from neuro.config import to_toml
    from neuro.liquid_network import describe_network, is_saved, size_of
    from neuro.output import print_json, say
    from neuro.run_folder import check_goes_on, plan_run

    plan = plan_run(command, settings, out=out, resume=resume)
    check_goes_on(plan, settings)
    facts: dict[str, Any] = {"network": settings.network.name}
    if not is_saved(settings.network):
        facts |= size_of(describe_network(settings.network, settings.seed), settings.engine)
    if as_json:
        where = {"run": str(plan.folder), "resume": plan.resume, "nproc": nproc}
        print_json({"settings": asdict(settings), **facts, **where})
        return
    say(to_toml(settings))
    if "neurons" in facts:
        say(f"# {liquid_build.in_words(facts)}")
    say(f"# would run {command} as {nproc} process(es) into {plan.folder}")
