"""`neuro spike`: vectors and texts as spike trains and back; spiking language models; both judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuro import spike_eval_command, spike_train_commands
from neuro.options import ConfigFile, Device, DryRun, Json, Limit, Quiet, Seed, Settings, Vectors

app = typer.Typer(no_args_is_help=True, help="Embeddings and texts as spike trains; spiking language models.")
Method = Annotated[
    Literal["ml", "centre_of_mass"], typer.Option(help="Decoder: maximum likelihood, or centre of mass.")
]
Neurons = Annotated[int | None, typer.Option(help="Neurons a dimension.", min=1)]
Steps = Annotated[int | None, typer.Option(help="Time bins of a train.", min=1)]
Density = Annotated[float | None, typer.Option(help="Share of bins with a spike.")]
Scheme = Annotated[
    Literal["poisson", "rate", "latency", "phase", "burst"] | None, typer.Option(help="How rates become spikes.")
]


@app.command()
def encode(
    out: Annotated[Path, typer.Option("--out", help="Train file to write; FILE.codec goes beside it.", metavar="FILE")],
    vectors: Vectors = None,
    limit: Limit = None,
    text: Annotated[
        str | None,
        typer.Option(help="Encode the tokens of texts, one a line; - for the standard input.", metavar="FILE|-"),
    ] = None,
    text_model: Annotated[
        str | None, typer.Option(help="Whose tokens: samples:minilm, a folder, or a name on the hub.", metavar="MODEL")
    ] = None,
    codec: Annotated[Path | None, typer.Option(help="Use this codec instead of fitting one.", metavar="FILE")] = None,
    neurons: Neurons = None,
    steps: Steps = None,
    density: Density = None,
    scheme: Scheme = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Encode vectors, or the tokens of texts, into a file of spike trains."""
    from ddp_utils import resolve_device

    from neuro.config import ConfigError, resolve
    from neuro.launching import check_single_process
    from neuro.output import check_writable, print_json, say
    from neuro.spike_settings import SpikeEncodeSettings

    code = {"neurons": neurons, "steps": steps, "density": density, "scheme": scheme}
    for option, value in {"--vectors": vectors, "--limit": limit}.items() if text is not None else ():
        if value is not None:
            raise ConfigError(f"{option}: is for vectors; --text encodes the tokens of {text}")
    if text is None and text_model is not None:
        raise ConfigError("--text-model: is for texts; add --text FILE")
    for name, value in code.items() if codec is not None else ():
        if value is not None:
            raise ConfigError(f"--{name}: belongs to the fit of a codec, and --codec names one that is fitted")
    flags = {
        "vectors.source": vectors,
        "vectors.limit": limit,
        "text.model": text_model,
        "seed": seed,
        "device": device,
    }
    flags |= {f"code.{name}": value for name, value in code.items()}
    if vectors is not None and limit is None:
        flags["vectors.limit"] = 0  # the default's limit is for the default's vectors
    resolved = resolve(SpikeEncodeSettings, file=config, assignments=settings or (), flags=flags)
    check_single_process("spike encode")
    if dry_run:
        check_writable(out)
        resolve_device(resolved.device)
        _show(resolved, f"would encode {text or resolved.vectors.source} into {out}", as_json=as_json)
        return
    from neuro import spike_encode

    summary = spike_encode.encode(resolved, out, text=text, codec_file=codec, quiet=quiet)
    if as_json:
        print_json(summary)
        return
    say(
        f"{summary['tokens']:,} tokens x {summary['dimensions']} dimensions x {summary['neurons']:,} neurons x "
        f"{summary['steps']} bins, density {summary['density']:.2%}, {summary['bits_per_token']:,.0f} bits a token"
    )
    say(f"train {summary['train']}\ncodec {summary['codec']}")


@app.command()
def decode(
    train: Annotated[Path, typer.Option("--train", help="Train file of `spike encode`.", metavar="FILE")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="NAME.npy, NAME.safetensors or NAME.txt; texts go to stdout without it."),
    ] = None,
    method: Method = "ml",
    dead: Annotated[float | None, typer.Option(help="Share of neurons known to be silent.", min=0, max=1)] = None,
    background: Annotated[float | None, typer.Option(help="Rate of stray spikes, Hz.", min=0)] = None,
    lost: Annotated[float | None, typer.Option(help="Share of spikes lost, as by jitter.", min=0, max=1)] = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Decode spike trains into vectors with their words, or into the texts they were."""
    from ddp_utils import setup_logging

    from neuro import spike_encode
    from neuro.config import ConfigError
    from neuro.output import print_json, say

    setup_logging(quiet=True)
    known = {"dead": dead, "background": background, "lost": lost}
    known = {name: value for name, value in known.items() if value is not None}
    if known and method != "ml":
        raise ConfigError(f"--{next(iter(known))}: is for --method ml; {method} does not reckon with it")
    summary = spike_encode.decode(train, out, method=method, device=device or "auto", **known)
    if as_json:
        print_json(summary)
    elif "texts" in summary and out is None:
        for text in summary["texts"]:
            say(text)
    else:
        what = f"{len(summary['texts']):,} texts" if "texts" in summary else f"x {summary['dimensions']}"
        say(f"{summary['tokens']:,} tokens {what}: {summary['file']}")


def _show(settings: Any, plan: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from neuro.config import to_toml
    from neuro.output import print_json, say

    print_json({"settings": asdict(settings), "plan": plan}) if as_json else say(f"{to_toml(settings)}\n# {plan}")


app.command()(spike_train_commands.train)
app.command()(spike_train_commands.generate)
app.command(name="eval")(spike_eval_command.evaluate)
