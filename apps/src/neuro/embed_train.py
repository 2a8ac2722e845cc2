"""`neuro embed train`: read like a story: vectors, training, codes, report."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from binemb import BinaryCodes, MatryoshkaBinarizer, WordVectors, train_binarizer
from ddp_utils import World, process_group, read_metrics, run_on_main, setup_logging

from neuro.embed_run import read_vectors
from neuro.embed_settings import SENTENCES, EmbedTrainSettings
from neuro.plots import training_curves
from neuro.report import Section, write_report
from neuro.run_folder import CODES, MODEL, RunPlan, plan_run, running

log = logging.getLogger("neuro")


def train(
    settings: EmbedTrainSettings, *, out: Path | None, resume: str, quiet: bool, tensorboard: bool
) -> dict[str, Any] | None:
    """Train in this process or as one of several; returns the summary in the main one, None in the others."""
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("embed-train", settings, out=out, resume=resume))
        with running(plan, settings):
            vectors = read_vectors(settings.vectors)
            log.info("%s; run folder %s", describe(vectors), plan.folder)
            model = train_model(settings, vectors, plan, world, quiet=quiet, tensorboard=tensorboard)
            return finish(settings, plan, model, vectors) if world.is_main else None


def train_model(
    settings: EmbedTrainSettings, vectors: WordVectors, plan: RunPlan, world: World, *, quiet: bool, tensorboard: bool
) -> MatryoshkaBinarizer:
    """Train a binarizer inside a run folder."""
    return train_binarizer(
        vectors.vectors,
        settings.bits,
        settings.train,
        seed=settings.seed,
        device=world.device,
        run_folder=plan.folder,
        resume=plan.resume,
        tensorboard=tensorboard,
        quiet=quiet,
    )


def stages_done(lines: list[dict[str, Any]]) -> dict[str, int]:
    """Gradient steps and rounds that a run's metrics tell of."""
    steps = max((line["step"] for line in lines if "learning_rate" in line), default=0)
    return {"steps": steps, "rounds": lines[-1]["step"] - steps}


def describe_stages(stages: dict[str, int]) -> str:
    """One line on what the training was."""
    rounds = f"{stages['rounds']} rounds of signs and decoders in turn"
    return f"{stages['steps']} gradient steps, then {rounds}" if stages["steps"] else rounds


def describe(vectors: WordVectors) -> str:
    """One line on what was read and what was left out."""
    dropped = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in vectors.dropped.items() if count)
    kind = "texts" if vectors.source.startswith(SENTENCES) else "words"
    read = f"{len(vectors):,} {kind} x {vectors.dim} from {vectors.source}"
    return f"{read} (dropped: {dropped})" if dropped else read


def save_model(folder: Path, model: MatryoshkaBinarizer, vectors: WordVectors) -> BinaryCodes:
    """Write model and codes of the vocabulary; returns the codes."""
    codes = model.encode(vectors.vectors)
    codes = BinaryCodes(codes.packed, codes.n_bits, codes.levels, vectors.words)
    codes.save(folder / CODES)
    model.save(folder / MODEL)
    return codes


def finish(
    settings: EmbedTrainSettings, plan: RunPlan, model: MatryoshkaBinarizer, vectors: WordVectors
) -> dict[str, Any]:
    """Write model, codes, curves and report."""
    save_model(plan.folder, model, vectors)
    lines = read_metrics(plan.folder)
    picture = training_curves(lines, settings.bits, plan.folder / "plots" / "training.png")
    last = lines[-1]
    stages = stages_done(lines)
    summary = {
        "run": str(plan.folder),
        "model": str(plan.folder / MODEL),
        "codes": str(plan.folder / CODES),
        "words": len(vectors),
        "dropped": vectors.dropped,
        "bits": list(settings.bits),
        **stages,
        "validation": {name: value for name, value in last.items() if name not in ("step", "learning_rate")},
    }
    sections = [
        Section("Training", text=f"{describe(vectors)}. {describe_stages(stages)}.", pictures=[picture]),
        Section("Settings", preformatted=_settings_text(settings)),
    ]
    write_report(plan.folder / "report.html", "neuro embed train", sections)
    return summary


def _settings_text(settings: Any) -> str:
    import tomli_w

    return tomli_w.dumps(asdict(settings))
