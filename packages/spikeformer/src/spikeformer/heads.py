"""A classifier of texts on top of a model.

Shapes: B texts, L tokens, D channels, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from spikeformer.config import SpikeformerConfig
from spikeformer.dense import DenseTwin
from spikeformer.model import Spikeformer
from spikeformer.start_values import LinearFactory, make_linear


@dataclass(frozen=True)
class ClassifierOutput:
    """What a classifier makes of texts.

    Args:
        logits: of the classes, (B, K).
        pooled: what they are read from, (B, D).
        rates: as in `SpikeformerOutput`.
        channel_rates: as in `SpikeformerOutput`.
        rate_loss: as in `SpikeformerOutput`.
    """

    logits: Tensor
    pooled: Tensor
    rates: dict[str, Tensor]
    channel_rates: dict[str, Tensor]
    rate_loss: Tensor


class TextClassifier(nn.Module):
    """Classes of whole texts, from the mean of a model's hidden values over their tokens.

        logits = W mean_{i: mask} hidden_i + b

    Tokens behind a text's end have no influence on its logits: the model is causal. They do count in the rates.

    Args:
        config: of the model underneath.
        classes: K, >= 2.
        dense: put the dense twin underneath in place of the spiking model.
        seed: of the start values.
        linear: makes the linear layers underneath, as for `Spikeformer`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    def __init__(
        self,
        config: SpikeformerConfig,
        classes: int,
        *,
        dense: bool = False,
        seed: int = 0,
        linear: LinearFactory = nn.Linear,
    ) -> None:
        super().__init__()
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
            raise ValueError(f"TextClassifier: classes must be a whole number >= 2, got {classes!r}")
        config = replace(config, tie_embeddings=True)  # no readout of its own that nothing would train
        self.body = (DenseTwin if dense else Spikeformer)(config, seed=seed, linear=linear)
        std = config.dim**-0.5
        self.readout = make_linear(nn.Linear, config.dim, classes, std=std, seed=seed, name="classes", bias=True)

    @property
    def config(self) -> SpikeformerConfig:
        """Of the model underneath."""
        return self.body.config

    def forward(self, x: Tensor, mask_BL: Tensor | None = None) -> ClassifierOutput:
        """Classify texts.

        Args:
            x: tokens, int64, (B, L), or spike trains, as for `Spikeformer`; shorter texts filled up at their end.
            mask_BL: which tokens belong to the text, bool, at least one in each text; None: all.

        Returns:
            Logits of the classes, and rates.

        Raises:
            TypeError: the mask is not bool.
            ValueError: the mask does not fit, or a text has no token; and as `Spikeformer`.
        """
        features = self.body.features(x)
        hidden_BLD = features.hidden
        if mask_BL is None:
            pooled_BD = hidden_BLD.mean(1)
        else:
            if mask_BL.dtype != torch.bool:
                raise TypeError(f"TextClassifier: mask_BL must be bool, got {mask_BL.dtype}")
            if mask_BL.shape != hidden_BLD.shape[:2] or not bool(mask_BL.any(1).all()):
                raise ValueError(
                    f"TextClassifier: mask_BL must be {tuple(hidden_BLD.shape[:2])} with a token in every text, got "
                    f"{tuple(mask_BL.shape)}"
                )
            weight_BL = mask_BL.to(hidden_BLD.dtype)
            pooled_BD = torch.einsum("bl,bld->bd", weight_BL / weight_BL.sum(1, keepdim=True), hidden_BLD)
        return ClassifierOutput(
            logits=self.readout(pooled_BD),
            pooled=pooled_BD,
            rates={name: rate_C.detach().mean() for name, rate_C in features.channel_rates.items()},
            channel_rates=features.channel_rates,
            rate_loss=self.body.rate_loss(features.channel_rates),
        )
