"""`neuro evolve`: spiking networks evolved on tasks, agents that steer the evolution, lives looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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

app = typer.Typer(no_args_is_help=True, help="Plastic spiking networks evolved on tasks; agents that steer evolution.")
GenomeFile = Annotated[Path, typer.Argument(help="A genome's file, or a run folder of `evolve run`.", metavar="GENOME")]


@app.command()
def run(
    task: Annotated[
        str | None, typer.Option(help="CartPole-v1, Acrobot-v1, TMaze, XOR, ... or a Gymnasium id.", metavar="TASK")
    ] = None,
    population: Annotated[int | None, typer.Option(help="Individuals.", min=2)] = None,
    generations: Annotated[int | None, typer.Option(help="Generations at most.", min=1)] = None,
    target: Annotated[float | None, typer.Option(help="Score to reach; the task's own by default.")] = None,
    max_episodes: Annotated[
        int | None, typer.Option(help="Episodes that may be lived in all; 0 for no limit.", min=0)
    ] = None,
    method: Annotated[
        Literal["evolution", "connectivity"] | None,
        typer.Option(help="Evolve genomes, or the probabilities of their connections."),
    ] = None,
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
    """Evolve plastic spiking networks on a task, on any number of processes."""
    from evosnn.task_evaluator import suitable_config

    from neuro.config import flat_settings, resolve
    from neuro.embed_commands import show_plan
    from neuro.evolve_settings import EvolveRunSettings
    from neuro.launching import check_processes, relaunch_run
    from neuro.output import print_json, say
    from neuro.run_folder import resumed_config

    flags = {
        "task": task,
        "population": population,
        "generations": generations,
        "target": target,
        "max_episodes": max_episodes,
        "method": method,
        "seed": seed,
        "device": device,
    }
    given: dict[str, Any] = {
        "base": resumed_config(out, resume),
        "file": config,
        "assignments": settings or (),
        "flags": flags,
    }
    suits = flat_settings(suitable_config(resolve(EvolveRunSettings, **given).task))
    inherited = {f"evolution.{key}": value for key, value in suits.items()}
    resolved = resolve(EvolveRunSettings, inherited=inherited, **given)
    check_processes(nproc, resolved.device)
    if dry_run:
        show_plan("evolve-run", resolved, out=out, resume=resume, nproc=nproc, as_json=as_json)
        return
    relaunch_run("evolve-run", resolved, out=out, resume=resume, nproc=nproc)
    from neuro import evolve_run

    summary = evolve_run.run(resolved, out=out, resume=resume, quiet=quiet, tensorboard=tensorboard)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    say(evolve_run.in_words(summary))
    say(f"genome {summary['genome']}\nreport {summary['report']}")


@app.command()
def steer(
    agents: Annotated[Literal["planner", "policy gradient", "both"] | None, typer.Option(help="What to train.")] = None,
    episodes: Annotated[int | None, typer.Option(help="Evolutions to train on.", min=1)] = None,
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
    """Train agents to steer evolution and judge them on other tasks, beside constant and random actions."""
    from neuro.config import resolve
    from neuro.embed_commands import show_plan
    from neuro.evolve_settings import EvolveSteerSettings
    from neuro.launching import check_processes, relaunch_run
    from neuro.output import print_json, print_table, say
    from neuro.run_folder import resumed_config

    flags = {"agents": agents, "steering.episodes": episodes, "seed": seed, "device": device}
    base = resumed_config(out, resume)
    resolved = resolve(EvolveSteerSettings, base=base, file=config, assignments=settings or (), flags=flags)
    check_processes(nproc, resolved.device)
    if dry_run:
        show_plan("evolve-steer", resolved, out=out, resume=resume, nproc=nproc, as_json=as_json)
        return
    relaunch_run("evolve-steer", resolved, out=out, resume=resume, nproc=nproc)
    from neuro import evolve_steer

    summary = evolve_steer.steer(resolved, out=out, resume=resume, quiet=quiet, tensorboard=tensorboard)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    print_table("Tasks and seeds that were not trained on", evolve_steer.COLUMNS, evolve_steer.table_rows(summary))
    for name, path in summary["agents"].items():
        say(f"{name} {path}")
    say(f"report {summary['report']}")


@app.command()
def replay(
    genome: GenomeFile,
    out: Annotated[
        Path, typer.Option("--out", help="NAME.png (film strip), NAME.gif or NAME.mp4 (needs ffmpeg).", metavar="FILE")
    ] = Path("replay.png"),
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Let a genome live an episode of its task and picture it: the task beside the spikes."""
    from neuro import evolve_replay
    from neuro.output import print_json, say

    summary = evolve_replay.replay(genome, out, seed=seed or 0)
    if as_json:
        print_json(summary)
        return
    say(f"{summary['task']}, seed {summary['seed']}: score {summary['score']:.4g} in {summary['steps']} steps")
    say(f"film {summary['film']}")


@app.command()
def inspect(
    genome: GenomeFile,
    draw: Annotated[
        Path | None, typer.Option(help="Draw the network: NAME.png, NAME.svg or NAME.pdf.", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a genome holds: its task, neurons, synapses and plasticity."""
    from neuro import evolve_inspect
    from neuro.output import print_json, print_table, say

    facts = evolve_inspect.inspect(genome, draw)
    if as_json:
        print_json(facts)
        return
    say(evolve_inspect.in_words(facts))
    print_table("Neurons", evolve_inspect.NEURON_COLUMNS, evolve_inspect.neuron_rows(facts))
    print_table("Synapses, the strongest", evolve_inspect.SYNAPSE_COLUMNS, evolve_inspect.synapse_rows(facts))
    if draw is not None:
        say(f"drawing {draw}")
