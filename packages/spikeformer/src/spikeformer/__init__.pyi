from .attention import AttentionState, pssa
from .classification_training import classifier_accuracy, pad_texts, train_classifier
from .config import SpikeformerConfig
from .dense import DenseTwin, dense_twin
from .energy import EnergyReport, energy_report
from .generation import generate
from .heads import ClassifierOutput, TextClassifier
from .language_model_config import LanguageModelConfig
from .language_model_evaluation import LanguageModelFigures, evaluate_language_model
from .language_model_training import train_language_model
from .lif import LIF, lif_steps
from .membrane_control import NeuronCounts, firing_rates, membrane_loss, neuron_report, rate_loss
from .model import Spikeformer
from .model_file import load_model, save_model
from .model_state import SpikeformerState
from .phase import PhaseShifts, phases
from .recall_task import RecallFigures, RecallTask, evaluate_recall, train_recall
from .reconstruction import LIFEncoder, ReconstructionHead, VocabularyIdentity, vocabulary_identity
from .snntorch_interchange import from_snntorch, to_snntorch
from .surrogate import Arctan, FastSigmoid
from .token_model import SpikeformerOutput
from .token_shards import TokenShards
from .token_stream import TokenArray, TokenSource, TokenStream
from .token_writer import TokenShardWriter, write_token_shards

__all__ = [
    "LIF",
    "Arctan",
    "AttentionState",
    "ClassifierOutput",
    "DenseTwin",
    "EnergyReport",
    "FastSigmoid",
    "LIFEncoder",
    "LanguageModelConfig",
    "LanguageModelFigures",
    "NeuronCounts",
    "PhaseShifts",
    "RecallFigures",
    "RecallTask",
    "ReconstructionHead",
    "Spikeformer",
    "SpikeformerConfig",
    "SpikeformerOutput",
    "SpikeformerState",
    "TextClassifier",
    "TokenArray",
    "TokenShardWriter",
    "TokenShards",
    "TokenSource",
    "TokenStream",
    "VocabularyIdentity",
    "classifier_accuracy",
    "dense_twin",
    "energy_report",
    "evaluate_language_model",
    "evaluate_recall",
    "firing_rates",
    "from_snntorch",
    "generate",
    "lif_steps",
    "load_model",
    "membrane_loss",
    "neuron_report",
    "pad_texts",
    "phases",
    "pssa",
    "rate_loss",
    "save_model",
    "to_snntorch",
    "train_classifier",
    "train_language_model",
    "train_recall",
    "vocabulary_identity",
    "write_token_shards",
]
