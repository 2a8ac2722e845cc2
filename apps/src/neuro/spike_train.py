"""`neuro spike train`: read like a story: text, training, model, sample, report."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

from ddp_utils import World, process_group, read_metrics, run_on_main, setup_logging
from spikeformer import (
    DenseTwin,
    LanguageModelFigures,
    Spikeformer,
    dense_twin,
    energy_report,
    generate,
    save_model,
    train_language_model,
)

from neuro.config import to_toml
from neuro.language_data import DENSE, LanguageData, open_data, write_data_facts
from neuro.language_plots import training_curves
from neuro.report import Section, write_report
from neuro.run_folder import MODEL, REPORT, RunPlan, plan_run, running
from neuro.spikeformer_settings import SpikeTrainSettings

SAMPLE_TOKENS = 400
COLUMNS = ("model", "parameters", "bits/character", "bits/byte", "bits/token", "perplexity", "firing rate", "energy")
log = logging.getLogger("neuro")


def train(
    settings: SpikeTrainSettings, *, out: Path | None, resume: str, quiet: bool, tensorboard: bool
) -> dict[str, Any] | None:
    """Train in this process or as one of several; returns the summary in the main one, None in the others."""
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("spike-train", settings, out=out, resume=resume))
        with running(plan, settings):
            about = settings.data
            data = open_data(about.source, about.validation, plan.folder, verify=about.verify, quiet=quiet)
            log.info("%s; run folder %s", describe(data), plan.folder)
            results = []
            for kind in ("spiking", "dense") if settings.kind == "both" else (settings.kind,):
                results.append(_train_one(kind, settings, data, plan, world, quiet=quiet, tensorboard=tensorboard))
            return finish(settings, plan, data, results) if world.is_main else None


def describe(data: LanguageData) -> str:
    """One line on the text."""
    name = data.tokenizer.describe()["name"]
    return f"{len(data.train):,} tokens ({name}) to train on, {len(data.validation):,} to validate on"


def folder_of(kind: str, settings: SpikeTrainSettings, run: Path) -> Path:
    """Where a model, its metrics and checkpoints go: beside a spiking model its twin has a folder of its own."""
    return run / DENSE if kind == "dense" and settings.kind == "both" else run


def _train_one(
    kind: str,
    settings: SpikeTrainSettings,
    data: LanguageData,
    plan: RunPlan,
    world: World,
    *,
    quiet: bool,
    tensorboard: bool,
) -> tuple[str, Spikeformer | DenseTwin, LanguageModelFigures]:
    make = Spikeformer if kind == "spiking" else dense_twin
    model = make(settings.model, seed=settings.seed).to(world.device)
    log.info("training the %s model, %s parameters", kind, f"{count_parameters(model):,}")
    folder = folder_of(kind, settings, plan.folder)
    resume = plan.resume
    if folder != plan.folder and resume not in (None, "auto"):
        resume = None  # the checkpoint that was named is the spiking model's
    figures = train_language_model(
        model,
        data.train,
        data.validation,
        settings.train,
        seed=settings.seed,
        run_folder=folder,
        resume=resume,
        tensorboard=tensorboard,
        quiet=quiet,
    )
    return kind, model, figures


def count_parameters(model: Spikeformer | DenseTwin) -> int:
    """Trained numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def finish(
    settings: SpikeTrainSettings,
    plan: RunPlan,
    data: LanguageData,
    results: list[tuple[str, Spikeformer | DenseTwin, LanguageModelFigures]],
) -> dict[str, Any]:
    """Write models, curves, a sample of each and the report."""
    summary: dict[str, Any] = {"run": str(plan.folder), "data": str(data.folder), "models": {}}
    samples, lines = [], {}
    for kind, model, figures in results:
        folder = folder_of(kind, settings, plan.folder)
        write_data_facts(folder, data, settings.data.source)
        save_model(folder / MODEL, model)
        lines[kind] = read_metrics(folder)
        text = sample(model, data, seed=settings.seed)
        samples.append(Section(f"Sample of the {kind} model", preformatted=text))
        summary["models"][kind] = {
            "model": str(folder / MODEL),
            "parameters": count_parameters(model),
            "steps": lines[kind][-1]["step"],
            "energy_ratio": energy_ratio(model, figures),
            **figures.to_dict(),
        }
    picture = training_curves(lines, plan.folder / "plots" / "training.png")
    note = (
        "Bits a character, a byte and a token of the validation text, at the best validation. Energy: estimated energy "
        "of the dense twin over that of the model, from additions and multiplications alone."
    )
    rows = [table_row(kind, facts) for kind, facts in summary["models"].items()]
    sections = [
        Section("Validation", text=f"{describe(data)}.", columns=COLUMNS, rows=rows, note=note, pictures=[picture]),
        *samples,
        Section("Settings", preformatted=to_toml(settings)),
    ]
    write_report(plan.folder / REPORT, "neuro spike train", sections)
    return summary | {"report": str(plan.folder / REPORT)}


def sample(model: Spikeformer | DenseTwin, data: LanguageData, *, seed: int) -> str:
    """Text that a model makes after the end of a document."""
    model.eval()
    start = [data.tokenizer.end_id]
    tokens = generate(model, start, SAMPLE_TOKENS, temperature=0.8, seed=seed)
    known = itertools.takewhile(lambda token: token < data.tokenizer.vocab_size, tokens)
    return "".join(data.tokenizer.pieces(known))


def energy_ratio(model: Spikeformer | DenseTwin, figures: LanguageModelFigures) -> float | None:
    """Estimated energy of the dense twin over that of a spiking model; None for the twin itself."""
    if not isinstance(model, Spikeformer) or figures.firing is None:
        return None
    return energy_report(model, figures.firing.layers).ratio


def table_row(name: str, facts: dict[str, Any]) -> list[str]:
    """A model's figures as the report and the table on the screen show them."""
    bits = [f"{facts[key]:.4f}" for key in ("bits_per_character", "bits_per_byte", "bits_per_token")]
    firing = "-" if facts["firing"] is None else f"{facts['firing']['rate']:.2%}"
    energy = "-" if facts["energy_ratio"] is None else f"{facts['energy_ratio']:.2f}x less"
    return [name, f"{facts['parameters']:,}", *bits, f"{facts['perplexity']:.3f}", firing, energy]
