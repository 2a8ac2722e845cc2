"""Training a sentence encoder for its binary codes, under sentence-transformers' own trainer.

Legend: M pairs of a batch, C candidates (positives, then hard negatives, if any), D dimensions, B bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from binemb.losses import sign_straight_through
from binemb.matryoshka import MatryoshkaBinarizer, check_levels
from binemb.preparation import Preparation, check_vectors
from binemb.projection_start import stacked_rotations
from binemb.sentences import require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class _MeanOfProcesses(torch.autograd.Function):
    """The identity, whose gradient is the mean over processes: the trainer synchronises the encoder alone."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, value: Tensor) -> Tensor:  # noqa: ARG004 - autograd's form
        return value.view_as(value)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:  # noqa: ARG004 - as above
        gradient = gradients[0].contiguous().clone()
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(gradient)
            gradient /= dist.get_world_size()
        return gradient


class BinaryHead(nn.Module):
    """Unit vectors to signs, every prefix of which is a code.

        s = sign(W x / norm2(x) + c),   gradient straight through

    Args:
        dim: D.
        bits: prefix lengths, ascending multiples of 8.
        seed: keys W, which starts as stacked random rotations.
    """

    def __init__(self, dim: int, bits: Sequence[int], *, seed: int = 0) -> None:
        super().__init__()
        self.bits = check_levels(bits)
        self.weight_BD = nn.Parameter(stacked_rotations(dim, self.bits[-1], seed=seed) * dim**0.5)
        self.bias_B = nn.Parameter(torch.zeros(self.bits[-1]))

    def forward(self, x_MD: Tensor) -> Tensor:
        """Signs, +1 and -1 in float32, (M, B), of float vectors (M, D)."""
        weight_BD, bias_B = _MeanOfProcesses.apply(self.weight_BD), _MeanOfProcesses.apply(self.bias_B)
        with torch.autocast(x_MD.device.type, enabled=False):  # a rounded activation is another bit
            activations_MB = F.linear(F.normalize(x_MD.float(), dim=1), weight_BD, bias_B)  # pyright: ignore[reportArgumentType]
            return sign_straight_through(activations_MB)


class BinaryMatryoshkaLoss(nn.Module):
    r"""In-batch contrastive loss on nested binary codes, for `SentenceTransformerTrainer`.

        L = mean over prefixes b of  mean_i  -log  exp(t <s_i, p_i>_b / b) / sum_j exp(t <s_i, p_j>_b / b)

    with s the signs of the anchors, p those of the candidates, <., .>_b the inner product of the first b signs and t
    the scale. Column 1 of the data holds anchors, column 2 their positives, further columns hard negatives; each
    anchor's candidates are all positives and negatives of its batch on its process. The encoder and the head learn
    together; `binarizer` makes the head a `MatryoshkaBinarizer` for the encoder's vectors. The trainer saves the
    encoder alone: save the binarizer beside it. The head's weights are about 1 and want larger steps than an
    encoder's:

        loss = BinaryMatryoshkaLoss(encoder, bits=(64, 128, 256))
        args = SentenceTransformerTrainingArguments(folder, learning_rate_mapping={r"^head\.": 1e-3})
        SentenceTransformerTrainer(encoder, args, train_dataset=pairs, loss=loss).train()
        model = loss.binarizer(encoder.encode(texts, convert_to_tensor=True))

    Args:
        model: the encoder that is trained.
        bits: prefix lengths, ascending multiples of 8; each weighs the same.
        scale: t, > 0; cosines of codes of unrelated texts are near 0, of the same text 1.
        seed: keys the head's start.

    Raises:
        ModuleNotFoundError: sentence-transformers is not installed.
        ValueError: bits are no ascending multiples of 8, or scale is not positive.

    References:
        van den Oord et al. (2018), Representation learning with contrastive predictive coding, arXiv 1807.03748.
        Kusupati et al. (2022), Matryoshka representation learning, arXiv 2205.13147. Henderson et al. (2017),
        Efficient natural language response suggestion for Smart Reply, arXiv 1705.00652, section 4.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        bits: Sequence[int] = (64, 128, 256),
        *,
        scale: float = 20.0,
        seed: int = 0,
    ) -> None:
        require("sentence_transformers", "sentence-transformers", "BinaryMatryoshkaLoss")
        super().__init__()
        if not 0 < scale < float("inf"):
            raise ValueError(f"BinaryMatryoshkaLoss: scale must be positive and finite, got {scale}")
        # sentence-transformers 5 knows the longer name alone, 6 warns of it
        width = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        dim = width()
        if dim is None:
            raise ValueError("BinaryMatryoshkaLoss: model does not say how wide its embeddings are")
        self.model = model
        self.scale = scale
        self.head = BinaryHead(dim, bits, seed=seed)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:  # noqa: ARG002 - the trainer passes labels
        """The loss of a batch, a scalar.

        Args:
            sentence_features: tokens of each column, as the trainer's collator makes them.
            labels: not used; the pairs are the labels.

        Raises:
            ValueError: fewer than two columns.
        """
        return self.loss_of_embeddings([self.model(features)["sentence_embedding"] for features in sentence_features])

    def loss_of_embeddings(self, embeddings: Sequence[Tensor]) -> Tensor:
        """The loss of a batch that is encoded already.

        Args:
            embeddings: anchors, positives and any negatives, each (M, D).

        Raises:
            ValueError: fewer than two columns.
        """
        if len(embeddings) < 2:
            raise ValueError(f"BinaryMatryoshkaLoss: needs columns of anchors and positives, got {len(embeddings)}")
        anchors_MB = self.head(embeddings[0])
        candidates_CB = self.head(torch.cat(list(embeddings[1:])))
        right_M = torch.arange(len(anchors_MB), device=anchors_MB.device)
        agreement_MC = anchors_MB.new_zeros(len(anchors_MB), len(candidates_CB))
        losses, start = [], 0
        with torch.autocast(anchors_MB.device.type, enabled=False):
            for level in self.head.bits:
                agreement_MC = agreement_MC + anchors_MB[:, start:level] @ candidates_CB[:, start:level].T
                losses.append(F.cross_entropy(self.scale / level * agreement_MC, right_M))
                start = level
        return torch.stack(losses).mean()

    @torch.no_grad()
    def binarizer(self, embeddings_ND: Tensor) -> MatryoshkaBinarizer:
        """The head as a model of its own, with decoders fitted to some vectors.

        Args:
            embeddings_ND: vectors of the trained encoder, float, (N, D), finite.

        Returns:
            A binarizer on the CPU whose codes of a vector are the signs of the head, in evaluation mode.

        Raises:
            TypeError, ValueError: not a finite float matrix of the encoder's width.
        """
        dim = self.head.weight_BD.shape[1]
        check_vectors(embeddings_ND, "BinaryMatryoshkaLoss.binarizer", dim=dim)
        preparation = Preparation(torch.zeros(dim), torch.zeros(0, dim))
        model = MatryoshkaBinarizer(preparation, self.head.bits, weight_BD=self.head.weight_BD.detach().cpu())
        model.bias_B.copy_(self.head.bias_B.detach().cpu())
        model.fit_decoders(preparation(embeddings_ND.detach().cpu()).float())
        return model.eval()

    def get_config_dict(self) -> dict[str, Any]:
        """What the trainer writes of the loss into a model card."""
        return {"bits": list(self.head.bits), "scale": self.scale}
