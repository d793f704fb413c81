"""Statistics of plain arrays: means with bootstrap intervals, and the weights that they are resampled by."""

from vaelens.statistics.bootstrap import BootstrapMean, percentile_interval, ratio_interval
from vaelens.statistics.weights import poisson_weights

__all__ = ["BootstrapMean", "percentile_interval", "poisson_weights", "ratio_interval"]
