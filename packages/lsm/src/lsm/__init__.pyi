from .all_to_all import AllToAll
from .dc import DC
from .distance_bernoulli import DistanceBernoulli
from .distributions import Normal, Uniform
from .explicit import Explicit
from .fixed_indegree import FixedIndegree
from .fixed_outdegree import FixedOutdegree
from .fixed_total_number import FixedTotalNumber
from .lif import LIF
from .memory import NetworkTooLarge
from .network import Network
from .one_to_one import OneToOne
from .pairwise_bernoulli import PairwiseBernoulli
from .poisson import Poisson
from .recording import Recording
from .simulation import Simulation
from .spatial_indegree import SpatialIndegree

__all__ = [
    "DC",
    "LIF",
    "AllToAll",
    "DistanceBernoulli",
    "Explicit",
    "FixedIndegree",
    "FixedOutdegree",
    "FixedTotalNumber",
    "Network",
    "NetworkTooLarge",
    "Normal",
    "OneToOne",
    "PairwiseBernoulli",
    "Poisson",
    "Recording",
    "Simulation",
    "SpatialIndegree",
    "Uniform",
]
