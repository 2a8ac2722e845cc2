"""`neuro spike eval`: float32, binary and spike codes of one vocabulary, side by side."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from binemb import MatryoshkaBinarizer, TrainConfig, WordVectors
from ddp_utils import (
    atomic_file,
    keyed_generator,
    progress,
    resolve_device,
    setup_logging,
    write_environment,
)
from spikecode import ReconstructionReport, SpikeCodec, nearest_rows, reconstruction_report, separations
from torch import Tensor

from neuro.config import ConfigError, to_toml
from neuro.output import print_json, print_table, say
from neuro.report import Section, write_report
from neuro.run_folder import CONFIG, REPORT, holding
from neuro.scoreboard import Candidate, Score, check_sets, judge, nbytes, score_table
from neuro.spike_encode import read_vocabulary
from neuro.spike_plots import draw
from neuro.spike_settings import BinarySettings, SpikeEvalSettings, fit_arguments

FIGURES = "eval.json"
CODE_COLUMNS = ("code", "identity", "not found", "bits/token", "density", "RMSE/bound", "cosine", "clipped")
log = logging.getLogger("neuro")


@dataclass(frozen=True, eq=False)
class SpikeCode:
    """A spike code and what it gives back.

    Args:
        codec: fitted to the vocabulary.
        report: how well the vocabulary comes back.
        decoded_nD: the vectors that come back, float32, (n, D), on the CPU.
    """

    codec: SpikeCodec
    report: ReconstructionReport
    decoded_nD: Tensor

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"spikes {self.report.neurons} x {self.report.steps}"


def run(settings: SpikeEvalSettings, folder: Path, *, as_json: bool, quiet: bool) -> None:
    """Judge, draw, report; figures, plots and page go into the folder."""
    setup_logging(quiet=quiet)
    device = resolve_device(settings.device)
    with holding(folder):
        check_sets(settings.evaluation)
        vocabulary = read_vocabulary(settings.vectors)
        if len(vocabulary) < 2:
            raise ConfigError(f"vectors: a vocabulary of two words or more is needed, {vocabulary.source} has one")
        log.info("%s words x %d of %s", f"{len(vocabulary):,}", vocabulary.dim, vocabulary.source)
        codes = _spike_codes(settings, vocabulary, device, quiet=quiet)
        scores, missing, found_again = _judge_all(settings, vocabulary, codes, quiet=quiet)
        pictures = draw(settings, vocabulary, codes, scores, folder / "plots")
        document = {
            "run": str(folder),
            "words": len(vocabulary),
            "codes": [{"name": code.name, **code.report.to_dict()} for code in codes],
            "scores": [score.to_dict() | {"identity": found_again.get(score.name)} for score in scores],
            "not_measured": missing,
            "plots": [str(path) for path in pictures],
            "report": str(folder / REPORT),
        }
        tables = _tables(settings, vocabulary, codes, scores, missing, found_again)
        _write(settings, folder, document, tables, pictures)
    if as_json:
        print_json(document)
        return
    for table in tables:
        print_table(table.title, table.columns, table.rows)
        say(f"{table.note}\n")
    say(f"plots {folder / 'plots'}\nreport {document['report']}")


def _spike_codes(
    settings: SpikeEvalSettings, vocabulary: WordVectors, device: torch.device, *, quiet: bool
) -> list[SpikeCode]:
    x_nD = vocabulary.vectors.to(device)
    separation_n = separations(x_nD)
    codes = []
    with progress("spike codes", len(settings.neurons) * len(x_nD), unit="words", quiet=quiet) as bar:
        for neurons, steps in zip(settings.neurons, settings.steps, strict=True):
            arguments = fit_arguments(settings.code)
            codec = SpikeCodec.fit(x_nD, neurons=neurons, steps=steps, seed=settings.seed, **arguments)
            codec = codec.fit_prior(x_nD) if settings.method == "bayes" else codec
            codec = codec.fit_linear(x_nD) if settings.method == "linear" else codec
            blocks: list[Tensor] = []

            def keep(decoded_nD: Tensor, blocks: list[Tensor] = blocks) -> None:
                blocks.append(decoded_nD.cpu())
                bar.advance(len(decoded_nD))

            report = reconstruction_report(
                codec, x_nD, method=settings.method, separation_V=separation_n, on_decoded=keep
            )
            codes.append(SpikeCode(codec, report, torch.cat(blocks)))
    return codes


def _judge_all(
    settings: SpikeEvalSettings, vocabulary: WordVectors, codes: Sequence[SpikeCode], *, quiet: bool
) -> tuple[list[Score], dict[str, str], dict[str, float]]:
    """Scores of all codes, what could not be measured, and name to share of words found again."""
    vectors_nD, words = vocabulary.vectors, vocabulary.words
    size = 4 * vocabulary.dim
    raw = [Candidate("float32", size, vectors_nD, None)]
    raw += [Candidate(code.name, code.report.bits_per_token / 8, code.decoded_nD, code.decoded_nD) for code in codes]
    found_again = {code.name: code.report.identity for code in codes} | {"float32": 1.0}
    groups = [(raw, vectors_nD)]
    if settings.binary.bits:
        prepared, prepared_nD = _binary_candidates(settings.binary, vocabulary, settings.seed)
        groups.append((prepared, prepared_nD))
        for candidate in prepared:
            if candidate.decoded is not None:
                right = nearest_rows(candidate.decoded, prepared_nD) == torch.arange(len(prepared_nD))
                found_again[candidate.name] = float(right.double().mean())
    scores: list[Score] = []
    missing: dict[str, str] = {}
    with progress("judging", sum(len(group) for group, _ in groups), unit="codes", quiet=quiet) as bar:
        for group, reference_nD in groups:
            found, absent, _ = judge(
                group, words, reference_nD, settings.evaluation, seed=settings.seed, on_done=lambda _: bar.advance()
            )
            scores += found
            missing |= absent
    return scores, missing, found_again


def _binary_candidates(settings: BinarySettings, vocabulary: WordVectors, seed: int) -> tuple[list[Candidate], Tensor]:
    """Prepared vectors, binary codes of them by Hamming distance and decoded; and the prepared vectors."""
    n_words = len(vocabulary)
    n_fitted = min(n_words, settings.fitted_words or n_words)
    rows = torch.randperm(n_words, generator=keyed_generator(seed, "binary"))[:n_fitted]
    config = TrainConfig(components=0, rounds=settings.rounds, fitted_rows=n_fitted)
    bits = (settings.bits,)
    model = MatryoshkaBinarizer.fit(vocabulary.vectors[rows], bits=bits, seed=seed, config=config)
    codes = model.encode(vocabulary.vectors)
    prepared_nD = model.preparation(vocabulary.vectors)
    decoded_nD, name, size = model.decode(codes), f"binary {settings.bits}", codes.bytes_per_vector
    return [
        Candidate("float32, prepared", 4 * vocabulary.dim, prepared_nD, None),
        Candidate(name, size, codes, decoded_nD, nbytes(model)),
        Candidate(f"{name}, decoded", size, decoded_nD, decoded_nD, nbytes(model)),
    ], prepared_nD


def _tables(
    settings: SpikeEvalSettings,
    vocabulary: WordVectors,
    codes: Sequence[SpikeCode],
    scores: list[Score],
    missing: dict[str, str],
    found_again: dict[str, float],
) -> list[Section]:
    columns, rows = score_table(scores, settings.evaluation)
    columns.append("identity")
    for score, row in zip(scores, rows, strict=True):
        row[2] = f"{score.bytes_per_vector:,.0f}"
        row[3] = f"{score.compression:.3g}x"
        identity = found_again.get(score.name)
        row.append("-" if identity is None else f"{identity:.4f}")
    bits = codes[0].report.vocabulary_bits
    note = (
        f"Identity: share of the {len(vocabulary):,} words whose decoded vector has the right word for its nearest one "
        f"among all of them; naming a word takes {bits:.1f} bits. Bits/token: of the train as it is stored, of "
        f"{codes[0].report.measured_trains} words. RMSE/bound: error over the least that an unbiased decoder can have. "
        f"Decoder: {settings.method}."
    )
    beside = (
        f"Spikes hold the vectors as they are, binary codes prepared ones (mean dropped, unit length); "
        f"recall@{settings.evaluation.k} and cosine are against those that a code holds. The binary code is fitted to "
        f"{settings.binary.fitted_words or len(vocabulary):,} words."
    )
    beside = " ".join([beside, *(f"Not measured (-): {reason}." for reason in missing.values())])
    title = f"{len(vocabulary):,} words x {vocabulary.dim} of {vocabulary.source}"
    return [
        Section(f"Spike codes of {title}", columns=CODE_COLUMNS, rows=[_code_row(code) for code in codes], note=note),
        Section("Codes side by side", columns=columns, rows=rows, note=beside),
    ]


def _code_row(code: SpikeCode) -> list[str]:
    report = code.report
    figures = [f"{report.bits_per_token:,.0f}", f"{report.density:.2%}", f"{report.rmse_over_bound:.3f}"]
    return [
        code.name,
        f"{report.identity:.4f}",
        f"{report.wrong:,}",
        *figures,
        f"{report.cosine:.4f}",
        f"{report.clipped}",
    ]


def _write(
    settings: SpikeEvalSettings,
    folder: Path,
    document: dict[str, Any],
    tables: Sequence[Section],
    pictures: Sequence[Path],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / CONFIG) as temporary:
        temporary.write_text(to_toml(settings), encoding="utf-8")
    write_environment(folder)
    with atomic_file(folder / FIGURES) as temporary:
        temporary.write_text(json.dumps(document | {"settings": asdict(settings)}, indent=1) + "\n", encoding="utf-8")
    write_report(folder / REPORT, "neuro spike eval", [*tables, Section("Pictures", pictures=pictures)])
