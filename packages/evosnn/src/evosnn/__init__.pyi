from .afferents import AfferentDrive
from .connectivity_evolution import ConnectivityConfig, ConnectivityEvolution
from .evolution import Evolution
from .evolution_config import EvolutionConfig
from .evolution_result import EvolutionResult
from .evaluation import FitnessError
from .genome import Genome
from .network import Network, Recording
from .network_state import NetworkState
from .policy import Policy
from .rule import Rule

__all__ = [
    "AfferentDrive",
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
    "Recording",
    "Rule",
]
