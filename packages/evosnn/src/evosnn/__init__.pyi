from .afferents import AfferentDrive
from .agent import load_agent
from .connectivity_evolution import ConnectivityConfig, ConnectivityEvolution
from .evaluation import FitnessError
from .evolution import Evolution
from .evolution_config import EvolutionConfig
from .evolution_result import EvolutionResult
from .film import save_film
from .genome import Genome
from .interface import Interface
from .life import Life, live
from .muzero.planner import MuZero, MuZeroConfig
from .network import Network, Recording
from .network_state import NetworkState
from .policy import Policy
from .policy_gradient import PolicyGradient, PolicyGradientConfig
from .rule import Rule
from .steering import SteeringConfig

__all__ = [
    "AfferentDrive",
    "ConnectivityConfig",
    "ConnectivityEvolution",
    "Evolution",
    "EvolutionConfig",
    "EvolutionResult",
    "FitnessError",
    "Genome",
    "Interface",
    "Life",
    "MuZero",
    "MuZeroConfig",
    "Network",
    "NetworkState",
    "Policy",
    "PolicyGradient",
    "PolicyGradientConfig",
    "Recording",
    "Rule",
    "SteeringConfig",
    "live",
    "load_agent",
    "save_film",
]
