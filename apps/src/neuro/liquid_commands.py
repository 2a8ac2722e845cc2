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
    as_json: Json = False,
) -> None:
    """Draw a picture, a film or a graph of a simulation that has been run."""
    from neuro import liquid_plot
    from neuro.output import print_json, say

    target = out or Path(f"{picture}.gif" if picture == "film" else f"{picture}.png")
    facts = liquid_plot.plot(run, picture, target, begin=begin, end=end)
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
        facts |= size_of(describe_network(settings.network, settings.seed))
    if as_json:
        where = {"run": str(plan.folder), "resume": plan.resume, "nproc": nproc}
        print_json({"settings": asdict(settings), **facts, **where})
        return
    say(to_toml(settings))
    if "neurons" in facts:
        say(f"# {liquid_build.in_words(facts)}")
    say(f"# would run {command} as {nproc} process(es) into {plan.folder}")
