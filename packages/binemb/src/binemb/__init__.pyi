from .analogy import AnalogyResult, evaluate_analogy
from .bootstrap import PairedDifference, paired_bootstrap
from .codes import BinaryCodes, asymmetric, cosine, hamming
from .errors import TooFewKnownError, UnknownWordError, VectorFileError
from .evaluation_sets import Analogies, EvaluationSetError, WordPairs, load_analogies, load_word_pairs
from .expression import ExpressionError, combine, parse_expression
from .faiss_device import faiss_gpu_count
from .five_bit import FiveBit, bit_planes, pack_five_bit, unpack_five_bit
from .float_index import FloatIndex
from .funnel import funnel_search
from .hits import FloatHits, Hits
from .index import BinaryIndex
from .matryoshka import MatryoshkaBinarizer
from .mteb_encoder import BinarizedEncoder
from .neighbours import evaluate_neighbours, exact_neighbours, neighbour_recalls
from .preparation import Preparation
from .projection_start import nested_start, stacked_rotations
from .quantize import quantize_embeddings, to_big_endian
from .retrieval import RetrievalResult, evaluate_retrieval, retrieve
from .retrieval_sets import RetrievalSet, load_judgements, load_retrieval_set
from .sentence_transformers_loss import BinaryMatryoshkaLoss
from .sentences import encode_sentences, load_sentence_encoder
from .similarity import SimilarityResult, evaluate_similarity
from .train import train_binarizer
from .train_config import LossWeights, TrainConfig
from .vectors import load_parts, load_vectors
from .word_vectors import WordVectors

__all__ = [
    "Analogies",
    "AnalogyResult",
    "BinarizedEncoder",
    "BinaryCodes",
    "BinaryIndex",
    "BinaryMatryoshkaLoss",
    "EvaluationSetError",
    "ExpressionError",
    "FiveBit",
    "FloatHits",
    "FloatIndex",
    "Hits",
    "LossWeights",
    "MatryoshkaBinarizer",
    "PairedDifference",
    "Preparation",
    "RetrievalResult",
    "RetrievalSet",
    "SimilarityResult",
    "TooFewKnownError",
    "TrainConfig",
    "UnknownWordError",
    "VectorFileError",
    "WordPairs",
    "WordVectors",
    "asymmetric",
    "bit_planes",
    "combine",
    "cosine",
    "encode_sentences",
    "evaluate_analogy",
    "evaluate_neighbours",
    "evaluate_retrieval",
    "evaluate_similarity",
    "exact_neighbours",
    "faiss_gpu_count",
    "funnel_search",
    "hamming",
    "load_analogies",
    "load_judgements",
    "load_parts",
    "load_retrieval_set",
    "load_sentence_encoder",
    "load_vectors",
    "load_word_pairs",
    "neighbour_recalls",
    "nested_start",
    "pack_five_bit",
    "paired_bootstrap",
    "parse_expression",
    "quantize_embeddings",
    "retrieve",
    "stacked_rotations",
    "to_big_endian",
    "train_binarizer",
    "unpack_five_bit",
]
