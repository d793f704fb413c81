"""Statistics of plain arrays: means with bootstrap intervals, the weights that they are resampled by, halves."""

from vaelens.statistics.bootstrap import BootstrapMean, percentile_interval, ratio_interval
from vaelens.statistics.half_samples import half_sample_interval, half_samples
from vaelens.statistics.weights import poisson_weights

__all__ = [
    "BootstrapMean",
    "half_sample_interval",
    "half_samples",
    "percentile_interval",
    "poisson_weights",
    "ratio_interval",
]
