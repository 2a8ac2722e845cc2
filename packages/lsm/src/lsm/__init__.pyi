from .activity_film import save_activity_film
from .activity_plots import plot_avalanches, plot_spectrum
from .adaptive_lif import AdaptiveLIF
from .all_to_all import AllToAll
from .conductance_lif import ConductanceLIF
from .connectivity_plots import plot_connectivity, plot_eigenvalues, plot_weights_and_delays
from .dc import DC
from .distance_bernoulli import DistanceBernoulli
from .distributions import Normal, Uniform
from .dopamine import DopamineSTDP
from .explicit import Explicit
from .figures import save_figure
from .fixed_indegree import FixedIndegree
from .fixed_outdegree import FixedOutdegree
from .fixed_total_number import FixedTotalNumber
from .izhikevich import Izhikevich
from .layout_plots import plot_layout
from .lif import LIF
from .memory import NetworkTooLarge
from .network import Network
from .network_graph import neuron_graph, plot_populations, population_graph
from .one_to_one import OneToOne
from .pairwise_bernoulli import PairwiseBernoulli
from .poisson import Poisson
from .raster_plots import plot_raster, plot_rate_histogram, plot_rates, plot_rates_over_time
from .recording import Recording
from .short_term import ShortTerm
from .simulation import Simulation
from .simulation_file import load
from .spatial_indegree import SpatialIndegree
from .stdp import STDP

__all__ = [
    "DC",
    "LIF",
    "STDP",
    "AdaptiveLIF",
    "AllToAll",
    "ConductanceLIF",
    "DistanceBernoulli",
    "DopamineSTDP",
    "Explicit",
    "FixedIndegree",
    "FixedOutdegree",
    "FixedTotalNumber",
    "Izhikevich",
    "Network",
    "NetworkTooLarge",
    "Normal",
    "OneToOne",
    "PairwiseBernoulli",
    "Poisson",
    "Recording",
    "ShortTerm",
    "Simulation",
    "SpatialIndegree",
    "Uniform",
    "load",
    "neuron_graph",
    "plot_avalanches",
    "plot_connectivity",
    "plot_eigenvalues",
    "plot_layout",
    "plot_populations",
    "plot_raster",
    "plot_rate_histogram",
    "plot_rates",
    "plot_rates_over_time",
    "plot_spectrum",
    "plot_weights_and_delays",
    "population_graph",
    "save_activity_film",
    "save_figure",
]
