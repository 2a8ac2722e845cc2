from .dc import DC
from .distributions import Normal, Uniform
from .fixed_indegree import FixedIndegree
from .lif import LIF
from .network import Network
from .poisson import Poisson
from .recording import Recording
from .simulation import Simulation

__all__ = [
    "DC",
    "LIF",
    "FixedIndegree",
    "Network",
    "Normal",
    "Poisson",
    "Recording",
    "Simulation",
    "Uniform",
]
