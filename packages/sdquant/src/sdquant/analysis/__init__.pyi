from .embeddings import jl_report
from .figures import plot_error_spectrum, plot_jl_report, plot_sqnr, plot_state_histogram
from .noise import block_noise, error_spectrum, noise_transfer, sqnr, sqnr_slopes, state_histogram

__all__ = [
    "block_noise",
    "error_spectrum",
    "jl_report",
    "noise_transfer",
    "plot_error_spectrum",
    "plot_jl_report",
    "plot_sqnr",
    "plot_state_histogram",
    "sqnr",
    "sqnr_slopes",
    "state_histogram",
]
