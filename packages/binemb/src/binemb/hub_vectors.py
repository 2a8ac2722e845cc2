"""Word vectors from a transformers model: its input embeddings, or its mean-pooled encoding of given words.

`hf:MODEL` is the table of input embeddings with the tokenizer's vocabulary as words, in the order of their ids.
`hf:MODEL#words=FILE` encodes the words of FILE, one a line. MODEL is a folder or a name on the Hugging Face hub, whose
weights must be safetensors.

Shapes: N words, T tokens, D values.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from binemb.binary_vectors import read_word_list
from binemb.errors import VectorFileError
from binemb.sentences import require
from binemb.text_vectors import RawVectors

WORDS_AT_ONCE = 64
_PLACEHOLDER = re.compile(r"[\[<]unused_?\d+[\]>]")
_WORDS_OPTION = "#words="


def read_hub(name: str, *, limit: int | None = None) -> RawVectors:
    """Read vectors of a model.

    A vocabulary that marks the pieces a word begins with (byte-level BPE, SentencePiece) is brought to the form of
    WordPiece: the mark is taken off these, and pieces from within a word get "##" before them. Special tokens and
    placeholders such as [unused1] are left out. Byte pieces that are no text by themselves all read U+FFFD; they are
    duplicates to the caller.

    Args:
        name: MODEL or MODEL#words=FILE.
        limit: rows to read at most, from the start, >= 1.

    Returns:
        Words and vectors, float32, (N, D).

    Raises:
        ModuleNotFoundError: transformers is not installed.
        FileNotFoundError: the list of words is not there.
        ValueError: no model, or an unknown option.
        VectorFileError: the model cannot be had, or its tokenizer and table disagree.
    """
    model_name, mark, option = name.partition("#")
    if not model_name or (mark and not f"#{option}".startswith(_WORDS_OPTION)):
        raise ValueError(f"load_vectors: expected hf:MODEL or hf:MODEL#words=FILE, got 'hf:{name}'")
    words: list[str] | None = None
    if mark:
        path = Path(f"#{option}".removeprefix(_WORDS_OPTION))
        if not path.is_file():
            raise FileNotFoundError(f"load_vectors: no file {str(path)!r} with words for hf:{model_name}")
        words = read_word_list(path)[:limit]
    require("transformers", "hub", f"load_vectors: 'hf:{model_name}'")
    tokenizer, model = _load(model_name)
    if words is not None:
        return RawVectors(words, mean_pooled(tokenizer, model, words), "line", 1)
    table_VD = model.get_input_embeddings().weight.detach()
    added = tokenizer.added_tokens_decoder
    left_out = {*tokenizer.all_special_ids, *(row for row, token in added.items() if token.special)}
    rows = [
        (row, token)
        for token, row in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if row not in left_out and not _PLACEHOLDER.fullmatch(token)
    ]
    if not rows:
        raise VectorFileError(f"hf:{model_name}: its tokenizer has no vocabulary to list")
    if rows[-1][0] >= len(table_VD):
        raise VectorFileError(f"hf:{model_name}: {len(table_VD)} embeddings for token {rows[-1][1]!r}, {rows[-1][0]}")
    rows = list(zip([row for row, _ in rows], _as_words(tokenizer, [token for _, token in rows]), strict=True))[:limit]
    return RawVectors([word for _, word in rows], table_VD[torch.tensor([row for row, _ in rows])].float(), "row", 0)


@torch.no_grad()
def mean_pooled(tokenizer: Any, model: Any, texts: list[str]) -> Tensor:
    """Mean of the last hidden states over a text's tokens, special ones included; not scaled to unit length.

        v = sum_t m_t h_t / sum_t m_t,   m the attention mask

    Args:
        tokenizer: a transformers tokenizer.
        model: a transformers encoder.
        texts: N texts; what is beyond the tokenizer's longest input is cut off.

    Returns:
        Float32, (N, D), on the CPU; up to float rounding each row depends on its text alone.
    """
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # masked below, so any token does
    by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    pooled: list[Tensor] = []
    for start in range(0, len(texts), WORDS_AT_ONCE):
        part = [texts[row] for row in by_length[start : start + WORDS_AT_ONCE]]
        tokens = tokenizer(part, padding=True, truncation=True, return_tensors="pt")
        hidden_NTD = model(**tokens).last_hidden_state.float()
        mask_NT1 = tokens["attention_mask"].unsqueeze(2)
        pooled.append((hidden_NTD * mask_NT1).sum(1) / mask_NT1.sum(1).clamp(min=1))
    return torch.cat(pooled)[torch.tensor(by_length).argsort()]


def _load(name: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    options: dict[str, Any] = {"local_files_only": True} if Path(name).exists() else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        model = AutoModel.from_pretrained(name, use_safetensors=True, **options)
    except Exception as error:  # tokenizers raises no narrower one
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VectorFileError(f"hf:{name}: no transformers model can be loaded from there: {reason}") from error
    return tokenizer, model.eval()


def _as_words(tokenizer: Any, tokens: list[str]) -> list[str]:
    if any(token.startswith("Ġ") for token in tokens):
        texts = [tokenizer.convert_tokens_to_string([token]) for token in tokens]
    elif any(token.startswith("▁") for token in tokens):
        texts = [token.replace("▁", " ") for token in tokens]
    else:
        return tokens
    return [text.removeprefix(" ") if text.startswith(" ") and text != " " else f"##{text}" for text in texts]
