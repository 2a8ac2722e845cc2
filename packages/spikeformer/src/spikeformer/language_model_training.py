"""A loop that trains a language model on streams of tokens, on any number of processes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from ddp_utils import SignalStop, Stopped, progress

from spikeformer.language_model_config import LanguageModelConfig
from spikeformer.language_model_evaluation import LanguageModelFigures, check_vocabulary
from spikeformer.language_model_run import LanguageModelRun
from spikeformer.token_model import TokenModel
from spikeformer.token_stream import TokenSource, TokenStream


def train_language_model(
    model: TokenModel,
    train: TokenSource,
    validation: TokenSource,
    config: LanguageModelConfig,
    *,
    seed: int = 0,
    run_folder: Path | None = None,
    resume: str | Path | None = None,
    tensorboard: bool = False,
    quiet: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> LanguageModelFigures:
    """Train a language model with AdamW; every process of the group calls it with the same model and texts.

    Each step reads the next `length` tokens of `global_batch` streams; the state of the model is carried on from step
    to step, without gradient. Streams are dealt to the processes in turn. Any number of processes, and any
    micro-batch, trains on the same sums, up to rounding. On the CPU a run that was stopped and resumed ends in the
    same bits as one that was not.

    Firing rates are held in the model's band by the slope of its rate loss at the rates of the step before, over the
    whole global batch.

    Args:
        model: a `Spikeformer` or `dense_twin`, trained in place where it is; it ends as it was at the best validation.
        train: text to train on.
        validation: text to validate on; its bits a token decide which model is best.
        config: how to train.
        seed: keys where the streams begin.
        run_folder: where `metrics.jsonl` and `checkpoints/` go; None keeps no files (and cannot be resumed).
        resume: "auto" goes on from the newest valid checkpoint of the run folder, a path from that checkpoint.
        tensorboard: also write TensorBoard scalars.
        quiet: no progress bar.
        on_step: called after each step with the number of steps done.

    Returns:
        The figures of the best validation.

    Raises:
        ValueError: texts, vocabulary or configuration do not fit, or the checkpoint is another run's.
        Stopped: SIGTERM or SIGINT came; the state is saved if there is a run folder.
        TooManyBadBatchesError, MemoryError, CheckpointError: see there.

    References:
        Williams, Peng (1990), Neural Computation 2(4): back-propagation through time, truncated.
        Departs from: gradients stop at the edges of steps, so a token's gradient reaches back 0 to length - 1 tokens.
    """
    for source in (train, validation):
        check_vocabulary("train_language_model", model, source)
    stream = TokenStream(train, config.global_batch, config.length, seed)
    run = LanguageModelRun(model, stream, validation, config, run_folder)
    if resume is not None:
        run.resume(None if resume == "auto" else resume)
    run.open_metrics(tensorboard=tensorboard)
    if run.step == 0:
        run.judge()  # the untrained model is the one to beat
    with SignalStop() as stop, progress("training", config.steps, done=run.step, quiet=quiet) as bar:
        while run.step < config.steps and not run.stopping.should_stop:
            nats = run.advance()
            bar.advance(bits_per_token=nats / math.log(2))
            last = run.step == config.steps
            if run.step % config.validate_every == 0 or last:
                run.judge()
            if on_step is not None:
                on_step(run.step)
            stopped = stop.agreed()
            if run.step % config.checkpoint_every == 0 or last or stopped or run.stopping.should_stop:
                run.save()
            if stopped:
                saved = f"resume with --resume auto --out {run_folder}" if run_folder else "nothing was saved"
                raise Stopped(f"stopped by a signal after step {run.step} of {config.steps}; {saved}")
    return run.finish()
