from .analogy import AnalogyResult, evaluate_analogy
from .codes import BinaryCodes, cosine, hamming
from .errors import TooFewKnownError, UnknownWordError, VectorFileError
from .evaluation_sets import Analogies, EvaluationSetError, WordPairs, load_analogies, load_word_pairs
from .expression import ExpressionError, combine, parse_expression
from .five_bit import FiveBit, bit_planes, pack_five_bit, unpack_five_bit
from .index import BinaryIndex, Hits, faiss_gpu_count
from .matryoshka import MatryoshkaBinarizer, stacked_rotations
from .neighbours import evaluate_neighbours, exact_neighbours
from .preparation import Preparation
from .similarity import SimilarityResult, evaluate_similarity
from .train import train_binarizer
from .train_config import LossWeights, TrainConfig
from .vectors import load_parts, load_vectors
from .word_vectors import WordVectors

__all__ = [
    "Analogies",
    "AnalogyResult",
    "BinaryCodes",
    "BinaryIndex",
    "EvaluationSetError",
    "ExpressionError",
    "FiveBit",
    "Hits",
    "LossWeights",
    "MatryoshkaBinarizer",
    "Preparation",
    "SimilarityResult",
    "TooFewKnownError",
    "TrainConfig",
    "UnknownWordError",
    "VectorFileError",
    "WordPairs",
    "WordVectors",
    "bit_planes",
    "combine",
    "cosine",
    "evaluate_analogy",
    "evaluate_neighbours",
    "evaluate_similarity",
    "exact_neighbours",
    "faiss_gpu_count",
    "hamming",
    "load_analogies",
    "load_parts",
    "load_vectors",
    "load_word_pairs",
    "pack_five_bit",
    "parse_expression",
    "stacked_rotations",
    "train_binarizer",
    "unpack_five_bit",
]
