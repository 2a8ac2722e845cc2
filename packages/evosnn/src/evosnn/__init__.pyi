from .action_decoding import ActionDecoder
from .afferents import AfferentDrive
from .agent import load_agent
from .connectivity_evolution import ConnectivityConfig, ConnectivityEvolution
from .development import DevelopmentConfig, develop
from .encoding import ObservationEncoder
from .evaluation import FitnessError
from .evolution import Evolution
from .evolution_checkpoint import EvolutionStateError
from .evolution_config import EvolutionConfig
from .evolution_result import EvolutionResult
from .film import save_film
from .genome import Genome
from .interface import Interface
from .life import Life, live
from .muzero.planner import MuZero, MuZeroConfig
from .network import Network
from .network_state import NetworkState
from .policy import Policy
from .policy_gradient import PolicyGradient, PolicyGradientConfig
from .recording import Recording
from .reporters import MetricsReporter, TableReporter
from .rollout import RolloutResult
from .rule import Rule
from .steering import SteeringConfig
from .tasks.registry import make_task
from .tasks.task import Task, TaskError

__all__ = [
    "ActionDecoder",
    "AfferentDrive",
    "ConnectivityConfig",
    "ConnectivityEvolution",
    "DevelopmentConfig",
    "Evolution",
    "EvolutionConfig",
    "EvolutionResult",
    "EvolutionStateError",
    "FitnessError",
    "Genome",
    "Interface",
    "Life",
    "MetricsReporter",
    "MuZero",
    "MuZeroConfig",
    "Network",
    "NetworkState",
    "ObservationEncoder",
    "Policy",
    "PolicyGradient",
    "PolicyGradientConfig",
    "Recording",
    "RolloutResult",
    "Rule",
    "SteeringConfig",
    "TableReporter",
    "Task",
    "TaskError",
    "develop",
    "live",
    "load_agent",
    "make_task",
    "save_film",
]
