"""Verify and escape: codes of a vocabulary from which every distinct vector of it is found again.

1. Code each vector, decode it, and compare it with all vectors of the vocabulary.
2. Push: those that are not nearest to themselves are coded again, with targets moved away from what they were mistaken
   for. It costs no bytes, and a little squared error.
3. Escape: those that still fail get the symbols of a stage, which codes what is left of them; again for the next stage.
4. Except: the last ones are kept as they are.

Shapes: U distinct rows, N rows, D dimensions, M symbols a row, E rows that fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sdquant.additive import AdditiveCodebooks, additive_decode, additive_encode, fit_codebooks
from sdquant.bit_stream import pack_numbers
from sdquant.codec_codes import STAGE_BITS, CodecCodes
from sdquant.codec_decoder import STAGE_SYMBOLS, Decoder
from sdquant.codec_plan import codebook_bytes
from sdquant.identity import mistaken, pushed_targets

PUSHES = 12
MAX_STAGES = 8
_PUSH_STEP = 0.15
_STAGE_ROUNDS = 10


def encode_vocabulary(
    decoder: Decoder, rows_UD: Tensor, group_N: Tensor, *, restarts: int, verify: bool, grow_seed: int | None = None
) -> tuple[Decoder, CodecCodes]:
    """Code distinct rows, and so all rows.

    Args:
        decoder: what will read the codes.
        rows_UD: distinct rows, float32, (U, D).
        group_N: for each row which of these it is, int64, (N,).
        restarts: of the search, >= 0.
        verify: push and escape until every row is found again.
        grow_seed: learn new stages where they pay, with this seed; by default use those there are.

    Returns:
        The decoder, with what stages were learned, and the codes without the codec's name.
    """
    x_UD = decoder.centred(rows_UD)
    codes_UM = decoder.encode(x_UD, restarts)
    stages: list[tuple[Tensor, Tensor]] = []
    failed = torch.zeros(0, dtype=torch.int64, device=x_UD.device)
    if verify:
        everything = torch.arange(len(x_UD), device=x_UD.device)
        mean_D = decoder.mean_D
        codes_UM, failed = code_and_push(
            rows_UD,
            everything,
            codes_UM,
            lambda _, target_ED, start_EM: decoder.encode(target_ED - mean_D, restarts, start_EM),
            lambda _, codes_EM: decoder.decode(codes_EM) + mean_D,
        )
        decoded_ED = decoder.decode(codes_UM[failed])
        while len(failed) and len(stages) < MAX_STAGES:
            if len(stages) == len(decoder.stages):
                if grow_seed is None or not _stage_pays(len(failed), x_UD.shape[1]):
                    break
                stage, _ = fit_codebooks(
                    x_UD[failed] - decoded_ED,
                    STAGE_SYMBOLS,
                    1 << STAGE_BITS,
                    rounds=_STAGE_ROUNDS,
                    seed=grow_seed,
                    stream=1000 + len(stages),
                )
                decoder = replace(decoder, stages=(*decoder.stages, stage))
            rows_E, symbols_ES, still = _through_stage(
                rows_UD, mean_D, failed, decoded_ED, decoder.stages[len(stages)], restarts
            )
            stages.append((rows_E, symbols_ES))
            kept = torch.isin(failed, still)
            decoded_ED = decoded_ED[kept] + additive_decode(symbols_ES[kept], decoder.stages[len(stages) - 1])
            failed = still
    return decoder, _for_all_rows(codes_UM, stages, failed, rows_UD, group_N, decoder)


def code_and_push(
    x_UD: Tensor,
    own_E: Tensor,
    codes_EM: Tensor,
    recode: Callable[[Tensor, Tensor, Tensor], Tensor],
    decode: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Find rows that are not nearest to themselves, and give them other symbols until they are or pushes run out.

    Args:
        x_UD: the vocabulary, (U, D).
        own_E: the rows that are coded, int64, (E,).
        codes_EM: their symbols, (E, M).
        recode: (places within own_E, targets, present symbols) to symbols.
        decode: (places within own_E, symbols) to rows.

    Returns:
        The symbols, the first ones for rows that fail to the end; and these rows, of own_E, int64.
    """
    codes_EM = codes_EM.clone()
    places_F = torch.arange(len(own_E), device=x_UD.device)
    decoded_FD = decode(places_F, codes_EM)
    failed_F = mistaken(decoded_FD, x_UD, own_E)
    places_F, decoded_FD = places_F[failed_F], decoded_FD[failed_F]
    target_FD, now_FM = x_UD[own_E[places_F]], codes_EM[places_F]
    for _ in range(PUSHES):
        if not len(places_F):
            break
        target_FD = pushed_targets(target_FD, decoded_FD, x_UD, own_E[places_F], _PUSH_STEP)
        now_FM = recode(places_F, target_FD, now_FM)
        decoded_FD = decode(places_F, now_FM)
        failed_F = mistaken(decoded_FD, x_UD, own_E[places_F])
        codes_EM[places_F[~failed_F]] = now_FM[~failed_F]
        places_F, decoded_FD = places_F[failed_F], decoded_FD[failed_F]
        target_FD, now_FM = target_FD[failed_F], now_FM[failed_F]
    return codes_EM, own_E[places_F]


def _through_stage(
    rows_UD: Tensor, mean_D: Tensor, failed_E: Tensor, decoded_ED: Tensor, stage: AdditiveCodebooks, restarts: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Code what is left of rows: the rows, their symbols, and those that still fail."""
    left_ED = rows_UD[failed_E] - mean_D - decoded_ED
    symbols_ES, still = code_and_push(
        rows_UD,
        failed_E,
        additive_encode(left_ED, stage, restarts=restarts),
        lambda places, target_FD, start_FS: additive_encode(
            target_FD - mean_D - decoded_ED[places], stage, restarts=restarts, start_NM=start_FS
        ),
        lambda places, symbols: decoded_ED[places] + additive_decode(symbols, stage) + mean_D,
    )
    return failed_E, symbols_ES, still


def _stage_pays(n_failed: int, dim: int) -> bool:
    """Whether a stage's codebooks cost less than half of what keeping the rows as they are would."""
    return STAGE_SYMBOLS * codebook_bytes(dim, 1 << STAGE_BITS) < n_failed * 4 * dim / 2


def _for_all_rows(
    codes_UM: Tensor,
    stages: list[tuple[Tensor, Tensor]],
    excepted: Tensor,
    rows_UD: Tensor,
    group_N: Tensor,
    decoder: Decoder,
) -> CodecCodes:
    """Codes of distinct rows, given to every row that equals them."""
    codes_UM = codes_UM.cpu()

    def spread(rows_E: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        place_U = torch.full((len(codes_UM),), -1)
        place_U[rows_E.cpu()] = torch.arange(len(rows_E))
        place_N = place_U[group_N]
        return (place_N >= 0).nonzero()[:, 0], values.cpu()[place_N[place_N >= 0]]

    bits = decoder.bits_per_symbol
    return CodecCodes(
        pack_numbers(codes_UM[group_N].flatten(), bits),
        len(group_N),
        codes_UM.shape[1],
        bits,
        tuple(spread(rows_E, symbols_ES) for rows_E, symbols_ES in stages if len(rows_E)),
        spread(excepted, rows_UD[excepted]),
        "",
    )
