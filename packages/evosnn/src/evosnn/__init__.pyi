from .connectivity_evolution import ConnectivityConfig, ConnectivityEvolution
from .evolution import Evolution, EvolutionResult
from .evolution_config import EvolutionConfig
from .evaluation import FitnessError
from .genome import Genome
from .network import Network, NetworkState
from .policy import Policy
from .rule import Rule

__all__ = [
    "ConnectivityConfig",
    "ConnectivityEvolution",
    "Evolution",
    "EvolutionConfig",
    "EvolutionResult",
    "FitnessError",
    "Genome",
    "Network",
    "NetworkState",
    "Policy",
    "Rule",
]
