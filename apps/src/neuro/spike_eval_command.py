"""`neuro spike eval`: options; the work is in `spike_eval`, and of language models in `spike_lm_eval`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from neuro.options import ConfigFile, Device, DryRun, Json, Limit, Quiet, RunFolder, Seed, Settings, Vectors


def evaluate(
    vectors: Vectors = None,
    limit: Limit = None,
    neurons: Annotated[
        str | None, typer.Option(help="Neurons a dimension of each spike code.", metavar="20,50,100")
    ] = None,
    steps: Annotated[
        str | None, typer.Option(help="Time bins of each spike code, as many as --neurons.", metavar="5,20,100")
    ] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option(help="Word similarity set: wordsim353, simlex999, or a file (MEN, ...). Repeatable."),
    ] = None,
    analogies: Annotated[str | None, typer.Option(help='Analogy set: google, a file, or "" for none.')] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Judge this language model instead: a run folder of `spike train`.", metavar="RUN_DIR"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Of --model: a folder of tokens or a text; the run's validation text without it."),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    out: RunFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Judge spike codes beside float32 and binary ones: identity, similarity, analogies; or a language model."""
    from dataclasses import asdict

    from ddp_utils import resolve_device

    from neuro.config import ConfigError, resolve, to_toml
    from neuro.launching import check_single_process
    from neuro.output import print_json, say
    from neuro.run_folder import plan_folder
    from neuro.spike_settings import SpikeEvalSettings

    of_codes = {"--vectors": vectors, "--limit": limit, "--neurons": neurons, "--steps": steps, "--pairs": pairs}
    of_codes |= {"--analogies": analogies, "--seed": seed}
    if model is not None:
        common = {"config": config, "settings": settings, "device": device, "out": out}
        _evaluate_language_model(model, data, of_codes, common, as_json=as_json, quiet=quiet, dry_run=dry_run)
        return
    if data is not None:
        raise ConfigError("--data: is the text of a language model; name it with --model RUN_DIR")
    flags = {
        "vectors.source": vectors,
        "vectors.limit": limit,
        "neurons": parse_numbers("--neurons", neurons),
        "steps": parse_numbers("--steps", steps),
        "evaluation.pairs": pairs,
        "evaluation.analogies": analogies,
        "seed": seed,
        "device": device,
    }
    resolved = resolve(SpikeEvalSettings, file=config, assignments=settings or (), flags=flags)
    check_single_process("spike eval")
    folder = plan_folder("spike-eval", out)
    if dry_run:
        resolve_device(resolved.device)
        if as_json:
            print_json({"settings": asdict(resolved), "run": str(folder)})
        else:
            say(f"{to_toml(resolved)}\n# would judge spike codes and write figures, plots and a report into {folder}")
        return
    from neuro import spike_eval

    spike_eval.run(resolved, folder, as_json=as_json, quiet=quiet)


def _evaluate_language_model(
    model: Path,
    data: str | None,
    of_codes: Mapping[str, Any],
    common: Mapping[str, Any],
    *,
    as_json: bool,
    quiet: bool,
    dry_run: bool,
) -> None:
    """Judge a language model; options of spike codes are refused.

    Raises:
        ConfigError: an option is not one of language models.
    """
    from dataclasses import asdict

    from ddp_utils import resolve_device

    from neuro.config import ConfigError, resolve, to_toml
    from neuro.launching import check_single_process
    from neuro.output import print_json, say
    from neuro.run_folder import plan_folder
    from neuro.spikeformer_settings import LanguageEvalSettings

    for option, value in of_codes.items():
        if value is not None:
            raise ConfigError(f"{option}: is for spike codes; --model judges a language model")
    flags = {"device": common["device"]}
    assignments = common["settings"] or ()
    resolved = resolve(LanguageEvalSettings, file=common["config"], assignments=assignments, flags=flags)
    check_single_process("spike eval")
    folder = plan_folder("spike-eval", common["out"])
    if dry_run:
        resolve_device(resolved.device)
        if as_json:
            print_json({"settings": asdict(resolved), "run": str(folder), "model": str(model), "data": data})
        else:
            say(f"{to_toml(resolved)}\n# would judge {model} on {data or 'its validation text'} and report in {folder}")
        return
    from neuro import spike_lm_eval

    spike_lm_eval.run(model, data, resolved, folder, as_json=as_json, quiet=quiet)


def parse_numbers(option: str, text: str | None) -> list[int] | None:
    """Whole numbers as typed, comma-separated.

    Raises:
        ConfigError: not a list of numbers.
    """
    from neuro.config import ConfigError

    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option}: expected numbers such as 20,50,100, got {text!r}") from None
