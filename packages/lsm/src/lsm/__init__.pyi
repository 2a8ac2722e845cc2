from .activity_film import save_activity_film
from .activity_plots import plot_avalanches, plot_spectrum
from .adaptive_lif import AdaptiveLIF
from .all_to_all import AllToAll
from .cochlea import cochleagram, erb_centres
from .conductance_lif import ConductanceLIF
from .connectivity_plots import plot_connectivity, plot_eigenvalues, plot_weights_and_delays
from .controls import expanded, input_states, scrambled
from .cortical_columns import Wiring, cortex
from .dc import DC
from .delta_rule import DeltaRuleReadout
from .distance_bernoulli import DistanceBernoulli
from .distributions import Normal, Uniform
from .dopamine import DopamineSTDP
from .explicit import Explicit
from .exponential_filter import filtered_spikes
from .facilitated_memory import cue_spikes, held_item, working_memory
from .figures import save_figure
from .fixed_indegree import FixedIndegree
from .fixed_outdegree import FixedOutdegree
from .fixed_total_number import FixedTotalNumber
from .group_ridge import NestedPrediction, nested_ridge
from .intervals import PairedDifference, mean_interval, paired_difference, wilson_interval
from .izhikevich import Izhikevich
from .kernel_rank import separation, state_rank
from .layout_plots import plot_layout
from .lif import LIF
from .liquid import LiquidStateMachine
from .logistic import LogisticReadout
from .lyapunov import divergence_rate, moved_spike
from .maass_column import maass
from .memory import NetworkTooLarge
from .memory_capacity import memory_function
from .memory_loop import add_memory_loop
from .midbrain import add_dopamine, add_midbrain, collicular_map
from .network import Network
from .network_graph import neuron_graph, plot_populations, population_graph
from .one_to_one import OneToOne
from .pairwise_bernoulli import PairwiseBernoulli
from .poisson import Poisson
from .population_matrix import mean_input_matrix, spectral_radius
from .potjans_diesmann import microcircuit
from .raster_plots import plot_raster, plot_rate_histogram, plot_rates, plot_rates_over_time
from .recording import Recording
from .ridge import RidgeReadout, RidgeSums
from .short_term import ShortTerm
from .simulation import Simulation
from .simulation_file import load
from .spatial_indegree import SpatialIndegree
from .spike_coding import bens_spiker, integrate_and_fire, latencies, level_crossings
from .spike_statistics import (
    avalanche_sizes,
    binned_counts,
    branching_parameter,
    interval_variation,
    mean_correlation,
    power_law_exponent,
)
from .splits import leave_one_group_out, official_digit_split
from .spoken_digits import SpokenDigit, read_spoken_digits
from .stdp import STDP
from .task_series import delayed_series, narma10, normalised_error, random_series, series_as_spikes
from .task_templates import TemplateStreams, poisson_spikes, template_streams
from .wav import AudioFileError, read_wav

__all__ = [
    "DC",
    "LIF",
    "STDP",
    "AdaptiveLIF",
    "AllToAll",
    "AudioFileError",
    "ConductanceLIF",
    "DeltaRuleReadout",
    "DistanceBernoulli",
    "DopamineSTDP",
    "Explicit",
    "FixedIndegree",
    "FixedOutdegree",
    "FixedTotalNumber",
    "Izhikevich",
    "LiquidStateMachine",
    "LogisticReadout",
    "NestedPrediction",
    "Network",
    "NetworkTooLarge",
    "Normal",
    "OneToOne",
    "PairedDifference",
    "PairwiseBernoulli",
    "Poisson",
    "Recording",
    "RidgeReadout",
    "RidgeSums",
    "ShortTerm",
    "Simulation",
    "SpatialIndegree",
    "SpokenDigit",
    "TemplateStreams",
    "Uniform",
    "Wiring",
    "add_dopamine",
    "add_memory_loop",
    "add_midbrain",
    "avalanche_sizes",
    "bens_spiker",
    "binned_counts",
    "branching_parameter",
    "cochleagram",
    "collicular_map",
    "cortex",
    "cue_spikes",
    "delayed_series",
    "divergence_rate",
    "erb_centres",
    "expanded",
    "filtered_spikes",
    "held_item",
    "input_states",
    "integrate_and_fire",
    "interval_variation",
    "latencies",
    "leave_one_group_out",
    "level_crossings",
    "load",
    "maass",
    "mean_correlation",
    "mean_input_matrix",
    "mean_interval",
    "memory_function",
    "microcircuit",
    "moved_spike",
    "narma10",
    "nested_ridge",
    "neuron_graph",
    "normalised_error",
    "official_digit_split",
    "paired_difference",
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
    "poisson_spikes",
    "population_graph",
    "power_law_exponent",
    "random_series",
    "read_spoken_digits",
    "read_wav",
    "save_activity_film",
    "save_figure",
    "scrambled",
    "separation",
    "series_as_spikes",
    "spectral_radius",
    "state_rank",
    "template_streams",
    "wilson_interval",
    "working_memory",
]
