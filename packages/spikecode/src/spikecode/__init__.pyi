from .calibration import Calibration
from .codec import SpikeCodec
from .density import expected_density, sigma_for_density
from .export import to_nest, to_snntorch, to_tonic
from .fisher import closed_form_information, fisher_bound, fisher_information, polylogarithm
from .language_model import LanguageModel, TextModelError
from .nearest import nearest_rows, separations
from .perturbation import perturb
from .plots import plot_decoded, plot_error_curves, plot_raster, plot_rate_histogram, plot_tuning_curves
from .population import Population
from .reconstruction import ReconstructionReport, SmallestCode, reconstruction_report, smallest_code
from .schemes.burst import Burst
from .schemes.latency import Latency
from .schemes.phase import Phase
from .schemes.poisson import Poisson
from .schemes.rate import Rate
from .spike_counts import SpikeCounts
from .text_encoder import TextError, TextSpikeEncoder
from .train import SpikeTrain

__all__ = [
    "Burst",
    "Calibration",
    "LanguageModel",
    "Latency",
    "Phase",
    "Poisson",
    "Population",
    "Rate",
    "ReconstructionReport",
    "SmallestCode",
    "SpikeCodec",
    "SpikeCounts",
    "SpikeTrain",
    "TextError",
    "TextModelError",
    "TextSpikeEncoder",
    "closed_form_information",
    "expected_density",
    "fisher_bound",
    "fisher_information",
    "nearest_rows",
    "perturb",
    "plot_decoded",
    "plot_error_curves",
    "plot_raster",
    "plot_rate_histogram",
    "plot_tuning_curves",
    "polylogarithm",
    "reconstruction_report",
    "separations",
    "sigma_for_density",
    "smallest_code",
    "to_nest",
    "to_snntorch",
    "to_tonic",
]
