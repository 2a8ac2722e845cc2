"""A training run of a language model: all that a checkpoint holds, and the moves of the loop.

Shapes: B streams, L tokens of each a step.
"""

from __future__ import annotations

import copy
import functools
import logging
import math
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from ddp_utils import (
    BadBatchBudget,
    Checkpoints,
    EarlyStopping,
    MetricsLog,
    Precision,
    all_reduce_gradients,
    broadcast_module,
    capture_random_state,
    find_batch_size,
    memory_report,
    rank,
    restore_random_state,
    retry_on_out_of_memory,
    world_size,
)
from ddp_utils.training_loop import check_same_run
from torch import Tensor, nn

from spikeformer.carried_state import gather_states, pick_states
from spikeformer.language_model_config import LanguageModelConfig
from spikeformer.language_model_evaluation import LanguageModelFigures, evaluate_language_model
from spikeformer.language_model_step import StepFigures, make_optimizer, step_gradients
from spikeformer.model_state import SpikeformerState
from spikeformer.rate_control import FiringFigures, Rates, rate_slopes, reduce_rates, sum_rates
from spikeformer.token_model import TokenModel
from spikeformer.token_stream import TokenSource, TokenStream

FIRING = ("rate", "dead", "quiet", "in_band", "busy", "saturated")
log = logging.getLogger("spikeformer")


@dataclass
class Window:
    """What was seen since the last validation.

    Args:
        nats: summed over the steps, of this process.
        steps: how many were taken.
        rates: summed over the steps, of all processes.
        norm: gradient norms, summed over the steps.
        seconds: spent in the steps.
    """

    nats: float = 0.0
    steps: int = 0
    rates: Rates = field(default_factory=dict)
    norm: float = 0.0
    seconds: float = 0.0


class LanguageModelRun:
    """The parts of a run; every process of the group makes one and calls its methods together.

    Args:
        model: trained in place.
        stream: what it is trained on.
        validation: what it is judged by.
        config: how to train.
        folder: where metrics and checkpoints go, or None.
    """

    def __init__(
        self,
        model: TokenModel,
        stream: TokenStream,
        validation: TokenSource,
        config: LanguageModelConfig,
        folder: Path | None,
    ) -> None:
        broadcast_module(model)
        self.model, self.stream, self.validation, self.config, self.folder = model, stream, validation, config, folder
        self.device = next(model.parameters()).device
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(model, config)
        self.precision = Precision(config.precision, self.device)
        self.stopping = EarlyStopping(config.patience)
        self.budget = BadBatchBudget(config.bad_batches)
        self.checkpoints = None if folder is None else Checkpoints(folder / "checkpoints", keep=config.keep)
        self.metrics: MetricsLog | None = None
        self.own = list(range(rank(), config.global_batch, world_size()))
        self.step = self.micro_batch = 0
        self.carried: SpikeformerState | None = None
        self.rates: Rates = {}  # of all streams in the step before
        self.window = Window()
        self.best = copy.deepcopy(model.state_dict())
        self.best_figures: dict[str, Any] = {}
        self.parts = {"model": model, "optimizer": self.optimizer, "precision": self.precision}
        self.parts |= {"stopping": self.stopping, "budget": self.budget}

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What a resumed run must have in common with its checkpoint."""
        return {
            "model": type(self.model).__name__,
            "model_config": self.model.config.to_dict(),
            "config": asdict(self.config),
            "seed": self.stream.seed,
            "tokens": [self.stream.source.digest, self.validation.digest],
        }

    def resume(self, path: str | Path | None) -> None:
        """Go on from the newest valid checkpoint, where there is one, or from the one at a path.

        Raises:
            ValueError: there is no run folder, or the checkpoint is another run's.
            CheckpointError: the checkpoint is damaged.
        """
        if self.checkpoints is None:
            raise ValueError("train_language_model: resume needs the run_folder that it goes on in")
        loaded = self.checkpoints.load(path)
        if loaded is None:
            return
        check_same_run(loaded, self.identity)
        state = loaded.state
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.step, self.micro_batch, self.best, self.best_figures = (
            state[name] for name in ("step", "micro_batch", "best", "best_figures")
        )
        self.rates, self.window = state["rates"], Window(**state["window"])
        if rank() != 0:
            self.window.nats = 0.0  # the main process has the sum of all
        self.carried = pick_states(state["carried"], self.own, self.device)
        if loaded.rank_state is not None:
            restore_random_state(loaded.rank_state)
        log.info("resumed from %s", loaded.folder)

    def open_metrics(self, *, tensorboard: bool) -> None:
        """Open the run's metrics, without the lines after the step."""
        if self.folder is not None:
            self.metrics = MetricsLog(self.folder, resume_step=self.step, tensorboard=tensorboard)

    def save(self) -> None:
        """Write a checkpoint, if there is a run folder."""
        if self.checkpoints is None:
            return
        window = {item.name: getattr(self.window, item.name) for item in fields(Window)}
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {
            "step": self.step,
            "micro_batch": self.micro_batch,
            "best": self.best,
            "best_figures": self.best_figures,
            "rates": self.rates,
            "window": {**window, "nats": _sum_over_processes(self.window.nats)},
            "carried": gather_states(self.carried, self.own),
            "identity": self.identity,
        }
        self.checkpoints.save(self.step, state, rank_state=capture_random_state())

    def advance(self) -> float:
        """Take one step.

        Returns:
            Nats a token of this process's streams.

        Raises:
            TooManyBadBatchesError: too many steps had a loss or gradient that is not finite.
            MemoryError: one stream does not fit in memory.
        """
        start, config = time.perf_counter(), self.config
        if self.step % config.carry == 0:
            self.carried = None
        if self.micro_batch == 0:
            self.micro_batch = self._find_micro_batch()
        tokens_BL = self.stream.batch(self.step, self.own).to(self.device)
        figures, self.micro_batch = retry_on_out_of_memory(
            lambda size: self._gradients(tokens_BL, self.carried, size), self.micro_batch
        )
        nats = float(figures.nats)
        if self.budget.should_skip(not self._finite(nats), ids=[f"stream {number}" for number in self.own]):
            self.carried = None
        else:
            self._update(figures, nats)
        self.step += 1
        self.window.seconds += time.perf_counter() - start
        return nats * config.global_batch / max(1, len(self.own))

    def _find_micro_batch(self) -> int:
        busiest = -(-self.config.global_batch // world_size())
        if self.config.micro_batch:
            return min(self.config.micro_batch, busiest)
        if self.device.type == "cpu":
            return busiest  # what does not fit is found out by the step itself
        tokens_BL = self.stream.batch(0, list(range(busiest))).to(self.device)
        return find_batch_size(lambda size: self._gradients(tokens_BL[:size], None, size), upper=busiest)

    def _gradients(self, tokens_BL: Tensor, state: SpikeformerState | None, micro_batch: int) -> StepFigures:
        self.optimizer.zero_grad(set_to_none=True)
        slopes = rate_slopes(self.rates, self.model.config.rate_band) if self.rates and self.config.rate_weight else {}
        return step_gradients(
            self.model,
            tokens_BL,
            state,
            micro_batch=micro_batch,
            global_batch=self.config.global_batch,
            push={name: self.config.rate_weight * slope_C for name, slope_C in slopes.items()},
            precision=self.precision,
        )

    def _finite(self, nats: float) -> bool:
        if not math.isfinite(nats) or self.precision.scaled:
            return math.isfinite(nats)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        return not gradients or bool(torch.isfinite(nn.utils.get_total_norm(gradients)))

    def _update(self, figures: StepFigures, nats: float) -> None:
        all_reduce_gradients(self.parameters)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate_at(self.step)
        self.precision.unscale(self.optimizer)
        norm = self.precision.step(self.optimizer, self.parameters, clip=self.config.clip_norm)
        self.carried = figures.state
        self.rates = reduce_rates(figures.rates)
        self.window.nats += nats
        self.window.norm += norm or 0.0
        self.window.steps += 1
        sum_rates(self.window.rates, self.rates, 1.0)

    def judge(self) -> None:
        """Validate, write the metrics of the time since the last validation, and keep the best model."""
        with self.precision.autocast():
            figures = evaluate_language_model(
                self.model,
                self.validation,
                streams=self.config.validation_streams,
                length=self.config.length,
                tokens=self.config.validation_tokens,
            )
        if self.stopping.update(figures.bits_per_token, self.step):
            self.best, self.best_figures = copy.deepcopy(self.model.state_dict()), figures.to_dict()
        line = _numbers(figures) | {"learning_rate": self.config.learning_rate_at(self.step)}
        window, self.window = self.window, Window()
        if window.steps:
            line["train_bits_per_token"] = _sum_over_processes(window.nats) / window.steps / math.log(2)
            line["gradient_norm"] = window.norm / window.steps
            tokens = window.steps * self.config.global_batch * self.config.length
            line["tokens_per_second"] = tokens / max(window.seconds, 1e-9)
            firing = FiringFigures.of(
                {name: rate_C / window.steps for name, rate_C in window.rates.items()}, self.model.config.rate_band
            )
            if firing is not None:
                line |= {f"train_{name}": getattr(firing, name) for name in FIRING}
        if self.metrics is not None:
            self.metrics.write(self.step, **line)

    def finish(self) -> LanguageModelFigures:
        """Close the metrics and put the best model in place.

        Returns:
            The figures of its validation.
        """
        if self.metrics is not None:
            self.metrics.close()
        log.info(
            "trained %d steps; best validation %.4f bits a token at step %d",
            self.step,
            self.stopping.best,
            self.stopping.best_step,
        )
        log.info("memory %s", {name: round(value) for name, value in memory_report(self.device).items()})
        self.model.load_state_dict(self.best)
        return LanguageModelFigures.from_dict(self.best_figures)


def _numbers(figures: LanguageModelFigures) -> dict[str, float]:
    """Figures of a validation as one flat line."""
    names = ("bits_per_token", "bits_per_byte", "bits_per_character", "perplexity")
    line = {name: getattr(figures, name) for name in names}
    if figures.firing is not None:
        line |= {name: getattr(figures.firing, name) for name in FIRING}
        line |= {f"rate_{name}": rate for name, rate in figures.firing.layers.items()}
    return line


def _sum_over_processes(value: float) -> float:
    total = torch.tensor(value, dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(total)
    return float(total)
