"""Fit a codec to a byte budget that counts the codec's file and the codes' file.

Shapes: N rows, U distinct rows, D dimensions.
"""

from __future__ import annotations

import logging
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from ddp_utils import keyed_generator
from torch import Tensor

from sdquant.additive import AdditiveCodebooks, fit_codebooks
from sdquant.codec_codes import CodecCodes
from sdquant.codec_decoder import Decoder
from sdquant.codec_escape import encode_vocabulary
from sdquant.codec_input import Joining, Parts, distinct_rows
from sdquant.codec_plan import CodecPlan, CompressionError, block_edges, plan_codec, symbols_of_blocks
from sdquant.refinement import refinement_bytes, train_refinement

if TYPE_CHECKING:
    from sdquant.codec import Codec, CodecConfig

_TRIAL_ROWS, _LEAST_TRIED = 30_000, 100
_TRIAL_ROUNDS = 10
_FAR = 10  # median distances from the median vector

log = logging.getLogger(__name__)


def fit_codec(
    make: type[Codec], x: Parts, compression: float, config: CodecConfig, seed: int
) -> tuple[Codec, CodecCodes]:
    """Fit, verify, count; with fewer symbols again while the bytes are too many. See `Codec.fit`."""
    joining = Joining.fit(x, config.metric, config.weights)
    joined_ND = joining.join(x)
    first_U, group_N = distinct_rows(joined_ND)
    rows_UD = joined_ND[first_U.to(joined_ND.device)]
    plans = plan_codec(
        len(group_N),
        len(first_U),
        joining.dim,
        compression,
        extra_bytes=refinement_bytes(joining.dim) if config.refinement else 0,
        bits_per_symbol=config.bits_per_symbol,
    )
    reached: list[tuple[float, int]] = []
    for plan in _best_first(plans, rows_UD, config, seed):
        least = math.inf
        while plan.n_symbols >= plan.n_blocks:
            log.info("codec: %s of %d rows", _described(plan), len(group_N))
            decoder = _fit_decoder(rows_UD, plan, config, seed)
            decoder, codes = encode_vocabulary(
                decoder, rows_UD, group_N, restarts=config.restarts, verify=True, grow_seed=seed
            )
            codec = make(joining, decoder, config, compression)
            codes = codes.of_codec(codec.codec_id)
            total = file_bytes(codec) + file_bytes(codes)
            if total <= plan.budget_bytes:
                return codec, codes
            reached.append((4 * joining.dim * len(group_N) / total, codes.n_escapes))
            excess = total - plan.budget_bytes
            log.info("codec: %d bytes, %d too many", total, excess)
            if total >= least:
                break  # fewer symbols cost more escapes than they save
            least = total
            fewer = max(1, math.ceil(8 * excess / (len(group_N) * plan.bits_per_symbol)))
            plan = replace(plan, n_symbols=plan.n_symbols - fewer)
    best, escapes = max(reached)
    raise CompressionError(
        f"compression={compression:g} was not reached: with every vector found again it is {best:.1f} at best "
        f"({escapes:,} of {len(group_N):,} rows took more bits)"
    )


def _best_first(plans: list[CodecPlan], rows_UD: Tensor, config: CodecConfig, seed: int) -> list[CodecPlan]:
    """The plans in order of squared error on rows that a short fit has not seen."""
    if len(plans) == 1 or len(rows_UD) < _LEAST_TRIED:
        return plans
    order = torch.randperm(len(rows_UD), generator=keyed_generator(seed, "codec.trial"))[:_TRIAL_ROWS]
    seen_UD, unseen_UD = (rows_UD[rows.to(rows_UD.device)] for rows in order.tensor_split([len(order) * 5 // 6]))
    quick = replace(config, rounds=min(config.rounds, _TRIAL_ROUNDS), refinement=False)
    errors = []
    for plan in plans:
        decoder = _fit_decoder(seen_UD, plan, quick, seed)
        x_UD = decoder.centred(unseen_UD)
        errors.append(float((decoder.decode(decoder.encode(x_UD, 8)) - x_UD).square().sum()))
        log.info(
            "codec: trial of %s: error %.4g", _described(plan), errors[-1] / max(float(x_UD.square().sum()), 1e-300)
        )
    return [plans[i] for i in sorted(range(len(plans)), key=errors.__getitem__)]


def _described(plan: CodecPlan) -> str:
    return f"{plan.n_symbols} symbols of {plan.bits_per_symbol} bits in {plan.n_blocks} blocks"


def _fit_decoder(rows_UD: Tensor, plan: CodecPlan, config: CodecConfig, seed: int) -> Decoder:
    near_UD = _without_far(rows_UD)
    mean_D = near_UD.double().mean(dim=0).float()
    x_UD = near_UD - mean_D
    variance = x_UD.double().square().mean(dim=0).tolist()
    edges = block_edges(len(variance), plan.n_blocks)
    counts = symbols_of_blocks(variance, plan.n_symbols, plan.bits_per_symbol, plan.n_blocks)
    blocks: list[AdditiveCodebooks] = []
    for (start, stop), count in zip(edges, counts, strict=True):
        part = x_UD[:, start:stop].contiguous()
        codebooks, _ = fit_codebooks(
            part, count, 1 << plan.bits_per_symbol, rounds=config.rounds, seed=seed, stream=len(blocks)
        )
        blocks.append(codebooks)
    decoder = Decoder(mean_D, tuple(blocks), None, ())
    if not config.refinement:
        return decoder
    decoded_UD = decoder.decode(decoder.encode(x_UD, config.restarts))
    refinement = train_refinement(decoded_UD, x_UD, steps=config.refinement_steps, seed=seed)
    return Decoder(mean_D, tuple(blocks), refinement, ())


def _without_far(rows_UD: Tensor) -> Tensor:
    """The rows to fit to: a few very long ones would take all levels of the codebooks, and can be exceptions."""
    length_U = (rows_UD - rows_UD.median(dim=0).values).norm(dim=1)
    return rows_UD[length_U <= _FAR * length_U.median()]


def file_bytes(saved: Codec | CodecCodes) -> int:
    """Bytes of the file that save() writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        saved.save(path)
        return path.stat().st_size
