"""The `neuro` application: one file a sub-command group. Nothing heavy is imported until a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from neuro import (
    data_commands,
    embed_commands,
    environment_command,
    evolve_commands,
    liquid_commands,
    quickstart_command,
    spike_commands,
)
from neuro.options import print_version

app = typer.Typer(
    name="neuro",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Neuromorphic computing: embeddings, spiking language models, evolved networks, liquids.",
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage or input, 75 stopped by a signal and resumable.",
)


@app.callback()
def neuro(
    version: Annotated[
        bool, typer.Option("--version", help="Print versions and exit.", callback=print_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Options of all commands."""
    del version, debug  # --version has answered by now; --debug is taken out of the arguments before parsing


app.command("quickstart")(quickstart_command.quickstart)
app.add_typer(embed_commands.app, name="embed")
app.add_typer(spike_commands.app, name="spike")
app.add_typer(evolve_commands.app, name="evolve")
app.add_typer(liquid_commands.app, name="liquid")
app.add_typer(data_commands.app, name="data")
app.command("env")(environment_command.env)
