"""`neuro spike eval --model`: a language model judged on a text: bits, firing rates, energy, pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ddp_utils import atomic_file, read_metrics, resolve_device, setup_logging, write_environment
from spikeformer import (
    LIF,
    DenseTwin,
    LanguageModelFigures,
    Spikeformer,
    TokenShards,
    energy_report,
    evaluate_language_model,
    load_model,
)
from torch import Tensor, nn

from neuro.config import ConfigError, to_toml
from neuro.data_settings import DataTokenizeSettings, SplitSettings, TextSourceSettings
from neuro.data_split import TRAIN, VALIDATION
from neuro.data_tokenize import open_splits, tokenize
from neuro.language_data import TOKENS, is_tokenized, model_file, read_data_facts, text_file, tokens_folder
from neuro.language_plots import raster, rates_by_layer, training_curves
from neuro.output import print_json, print_table, say
from neuro.report import Section, write_report
from neuro.run_folder import CONFIG, REPORT, holding
from neuro.spike_train import COLUMNS, count_parameters, table_row
from neuro.spikeformer_settings import LanguageEvalSettings
from neuro.text_tokenizers import TextTokenizer, open_tokenizer

FIGURES = "eval.json"
log = logging.getLogger("neuro")


def run(
    run_folder: Path, data: str | None, settings: LanguageEvalSettings, folder: Path, *, as_json: bool, quiet: bool
) -> None:
    """Judge, draw, report; figures, plots and page go into the folder.

    Args:
        run_folder: of `spike train`.
        data: a folder of tokens or a text; None for the validation text of the run.
        settings: how to judge.
        folder: where the results go.
        as_json: one JSON document on stdout.
        quiet: no progress.
    """
    setup_logging(quiet=quiet)
    device = resolve_device(settings.device)
    with holding(folder):
        tokenizer = open_tokenizer(read_data_facts(run_folder)["tokenizer"], run_folder)
        model = load_model(model_file(run_folder)).to(device).eval()
        tokens = _open_text(run_folder, data, tokenizer, folder, quiet=quiet)
        log.info("%s tokens of %s", f"{len(tokens):,}", tokens.folder)
        options = {"streams": settings.streams, "length": settings.length, "tokens": settings.tokens}
        figures = evaluate_language_model(model, tokens, **options, quiet=quiet)
        kind = "dense" if isinstance(model, DenseTwin) else "spiking"
        pictures = _draw(model, kind, figures, tokenizer, settings.sentence, run_folder, folder / "plots")
        energy = energy_report(model, figures.firing.layers) if figures.firing else None
        facts = {
            "parameters": count_parameters(model),
            "energy_ratio": energy.ratio if energy else None,
            **figures.to_dict(),
        }
        document = {
            "run": str(folder),
            "model": str(run_folder),
            "kind": kind,
            "data": str(tokens.folder),
            **facts,
            "energy": energy.to_dict() if energy else None,
            "plots": [str(path) for path in pictures],
            "report": str(folder / REPORT),
        }
        tables = _tables(kind, facts, energy.to_dict() if energy else None, tokens)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(folder / CONFIG) as temporary:
            temporary.write_text(to_toml(settings), encoding="utf-8")
        write_environment(folder)
        with atomic_file(folder / FIGURES) as temporary:
            content = json.dumps(document | {"settings": asdict(settings)}, indent=1)
            temporary.write_text(content + "\n", encoding="utf-8")
        write_report(folder / REPORT, "neuro spike eval", [*tables, Section("Pictures", pictures=pictures)])
    if as_json:
        print_json(document)
        return
    for table in tables:
        print_table(table.title, table.columns, table.rows)
        say(f"{table.note}\n")
    say(f"plots {folder / 'plots'}\nreport {document['report']}")


def _open_text(
    run_folder: Path, data: str | None, tokenizer: TextTokenizer, folder: Path, *, quiet: bool
) -> TokenShards:
    """The tokens to judge on: the run's validation text, a folder of tokens, or a text that is tokenized first."""
    path = tokens_folder(run_folder) if data is None else Path(data).expanduser()
    if data is not None and not is_tokenized(path):
        path = folder / TOKENS
        settings = DataTokenizeSettings(TextSourceSettings(sources=(text_file(data),)), split=SplitSettings(0.0))
        tokenize(settings, path, workers=1, quiet=quiet, tokenizer=tokenizer)
    splits = open_splits(path)
    tokens = splits.get(VALIDATION, splits[TRAIN])
    tokens.verify()
    if dict(tokens.tokenizer) != tokenizer.describe():
        raise ConfigError(
            f"{tokens.folder}: is of the tokenizer {tokens.tokenizer['name']}, the model of "
            f"{tokenizer.describe()['name']}; name the text itself"
        )
    return tokens


def _draw(
    model: Spikeformer | DenseTwin,
    kind: str,
    figures: LanguageModelFigures,
    tokenizer: TextTokenizer,
    sentence: str,
    run_folder: Path,
    folder: Path,
) -> list[Path]:
    lines = read_metrics(run_folder)
    pictures = [training_curves({kind: lines}, folder / "training.png")] if lines else []
    if figures.firing is None:
        return pictures
    band = model.config.rate_band
    ids = tokenizer.encode([sentence])[0].tolist()
    if not ids:
        raise ConfigError(f"sentence: the tokenizer finds no token in {sentence!r}")
    pieces = ["".join(tokenizer.pieces(iter([entry]))) for entry in ids]
    spikes = record_spikes(model, torch.tensor([ids]))
    return [
        *pictures,
        rates_by_layer(figures.firing.layers, band, folder / "rates.png"),
        raster(spikes, pieces, folder / "raster.png"),
    ]


@torch.no_grad()
def record_spikes(model: Spikeformer | DenseTwin, tokens_1L: Tensor) -> dict[str, Tensor]:
    """Spikes of all neurons of a model while it reads a text, (T, L, C) by the name of their module.

    Args:
        model: what reads.
        tokens_1L: one text, int64, (1, L).
    """
    spikes: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: Any, out: tuple[Tensor, Tensor]) -> None:
            spikes[name] = out[0][:, 0].float().cpu()

        return hook

    neurons = [(name, module) for name, module in model.named_modules() if isinstance(module, LIF)]
    hooks = [module.register_forward_hook(keep(name)) for name, module in neurons]
    try:
        model(tokens_1L.to(next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return spikes


def _tables(kind: str, facts: dict[str, Any], energy: dict[str, Any] | None, tokens: TokenShards) -> list[Section]:
    note = (
        f"{facts['tokens']:,} tokens of {tokens.folder}. Bits of all tokens over characters, bytes and tokens; the end "
        "of a document costs bits and has no characters."
    )
    sections = [Section("Language model", columns=COLUMNS, rows=[table_row(kind, facts)], note=note)]
    if energy is not None:
        firing = facts["firing"]
        names = ("dead", "quiet", "in_band", "busy", "saturated")
        shares = [f"{firing[name]:.2%}" for name in names]
        sections.append(Section("Neurons", columns=["share of", *names], rows=[["all neurons", *shares]]))
        rows = [
            ["synaptic operations a token", f"{energy['synaptic_operations']:,.0f}"],
            ["multiply-adds a token, dense twin", f"{sum(energy['dense_multiply_adds'].values()):,.0f}"],
            ["estimated nJ a token", f"{energy['spiking_nanojoule']:,.1f}"],
            ["estimated nJ a token, dense twin", f"{energy['dense_nanojoule']:,.1f}"],
        ]
        sections.append(Section("Energy", columns=["what", "value"], rows=rows, note=energy["assumptions"]))
    return sections
