"""Text to spikes and back.

Shapes: n tokens, V vocabulary entries, D dimensions, N neurons a dimension, T bins.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spikecode.language_model import SAMPLE, LanguageModel
from spikecode.nearest import nearest_rows

if TYPE_CHECKING:
    from spikecode.codec import Method, SpikeCodec
    from spikecode.train import SpikeTrain

log = logging.getLogger("spikecode")


class TextError(ValueError):
    """A text that cannot be written as spikes, or spikes that no text was written as. The message says why."""


class TextSpikeEncoder:
    """Text as spikes of its tokens' embeddings, and the text from the spikes alone.

        text -> tokens -> embeddings -> spikes -> embeddings, positions -> nearest vocabulary entries -> text

    Each token's embedding is one row of a spike train. Its place in the text is the phase of its spikes, a circular
    shift of the time axis (`spikecode.position`), so that the rows may come back in any order. What is decoded is
    matched with vectors of the same kind as those that were encoded: raw table with raw table.

    Args:
        model: `"samples:minilm"` (all-MiniLM-L6-v2, no network), a folder of a transformers model, or a name on the
            hub such as "bert-base-uncased".
        layer: 0 for the table of input embeddings; k for the output of the k-th encoder layer, whose vectors depend
            on the whole text: they are matched with the states of entries read alone, and not every token comes back.
        neurons: neurons a dimension, N.
        steps: bins, T.
        density: share of bins with a spike, in (0, 1).
        max_tokens: tokens of the longest text, P >= 1: that many positions are told apart.
        seed: keys the spikes.
        settings: further arguments of `SpikeCodec.fit`, such as `scheme` or `max_rate`.

    Raises:
        TextModelError: there is no such model, sample or layer.
        ModuleNotFoundError: transformers or the sample is not installed.
        ValueError: settings that `SpikeCodec.fit` refuses.
    """

    def __init__(
        self,
        model: str = SAMPLE,
        *,
        layer: int = 0,
        neurons: int = 100,
        steps: int = 100,
        density: float = 0.05,
        max_tokens: int = 512,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        from spikecode.codec import SpikeCodec

        self.model = LanguageModel.load(model, layer)
        self.max_tokens = min(max_tokens, self.model.max_tokens or max_tokens)
        self.codec: SpikeCodec = SpikeCodec.fit(
            self.model.table_VD,
            neurons=neurons,
            steps=steps,
            density=density,
            position_period=max_tokens,
            seed=seed,
            **settings,
        )

    def tokens(self, text: str) -> list[int]:
        """Vocabulary entries of a text.

        Args:
            text: 1 to `max_tokens` tokens.

        Raises:
            TypeError: not a string.
            TextError: no token in it, or too many.
        """
        if not isinstance(text, str):
            raise TypeError(f"TextSpikeEncoder: expected a text, got {type(text).__name__}")
        found = self.model.tokens(text)
        if not found:
            raise TextError(f"TextSpikeEncoder: no token in the text {text!r}; give at least one word")
        if len(found) > self.max_tokens:
            raise TextError(
                f"TextSpikeEncoder: {len(found)} tokens, and at most {self.max_tokens} have a place of their own; "
                "split the text, or raise max_tokens as far as the model allows"
            )
        unknown = self.model.tokenizer.unk_token_id
        if unknown is not None and unknown in found:
            log.warning("%d tokens are not in the vocabulary of %s", found.count(unknown), self.model.name)
        return found

    def embed(self, text: str) -> Tensor:
        """What `encode` writes as spikes, float32, (n, D); `text` and errors as for `tokens`."""
        return self.model.vectors(self.tokens(text))

    @classmethod
    def with_codec(cls, codec: SpikeCodec, model: str = SAMPLE, *, layer: int = 0) -> TextSpikeEncoder:
        """An encoder whose codec is given, such as one that was saved.

        Args:
            codec: fitted to vectors of this model and layer, with `position_period`.
            model: as for the encoder.
            layer: as for the encoder.

        Raises:
            TextModelError, ModuleNotFoundError: as for the encoder.
            ValueError: the codec is for vectors of another length, or has no positions.
        """
        encoder = cls.__new__(cls)
        encoder.model = LanguageModel.load(model, layer)
        dim = encoder.model.embeddings_VD.shape[1] if layer == 0 else encoder.model.vectors([0]).shape[1]
        if codec.dim != dim:
            raise ValueError(f"TextSpikeEncoder: the codec is for {codec.dim} dimensions, {model!r} has {dim}")
        if codec.position_period is None:
            raise ValueError("TextSpikeEncoder: the codec has no positions; fit it with position_period")
        encoder.max_tokens = min(codec.position_period, encoder.model.max_tokens or codec.position_period)
        encoder.codec = codec
        return encoder

    def encode(self, text: str, *, number: int = 0) -> SpikeTrain:
        """Spikes of a text, one row a token.

        Args:
            text: 1 to `max_tokens` tokens.
            number: of the text in its corpus, >= 0: each number has random spikes of its own.

        Returns:
            n rows of D x N neurons and T bins.

        Raises:
            TypeError, TextError: as for `tokens`.
        """
        period = self.codec.position_period
        assert period is not None
        return self.codec.encode(self.embed(text), first_token=number * period)

    def decode_tokens(self, train: SpikeTrain, *, method: Method = "ml", **reckon_with: Any) -> list[int]:
        """Vocabulary entries of spikes, in the order that the spikes say.

        Args:
            train: rows of one text, in any order; (n, D, N, T).
            method: decoder of `SpikeCodec.decode`.
            reckon_with: its further arguments: dead, background, lost.

        Returns:
            n vocabulary entries.

        Raises:
            ValueError: the train is not of this encoder's codec.
            TextError: no rows, or two of them say that they stand at the same place.
        """
        if train.shape[0] == 0:
            raise TextError("TextSpikeEncoder: the train holds no token")
        places = self.codec.decode_positions(train)
        order = torch.argsort(places, stable=True)
        taken, count = places.unique(return_counts=True)
        if len(taken) < len(places):
            place = int(taken[count.argmax()])
            raise TextError(
                f"TextSpikeEncoder: {int(count.max())} tokens at place {place}: these are no rows of one text of up to "
                f"{self.max_tokens} tokens, or too few spikes to tell places apart"
            )
        decoded_nD = self.codec.decode(train, method=method, **reckon_with)
        return nearest_rows(decoded_nD[order], self.model.table_VD).tolist()

    def decode(self, train: SpikeTrain, *, method: Method = "ml", **reckon_with: Any) -> str:
        """The text of spikes; as `written` gives it. Arguments and errors as for `decode_tokens`."""
        return self.model.text(self.decode_tokens(train, method=method, **reckon_with))

    def written(self, text: str) -> str:
        """A text as its tokens say it: lower case of an uncased tokenizer, spaces around punctuation as is common.

        Raises:
            TypeError, TextError: as for `tokens`.
        """
        return self.model.text(self.tokens(text))
