"""Intervals, tests and effect sizes of plain arrays, and means that may be looked at while they are taken."""

from vaelens.statistics.accelerated import bca_interval
from vaelens.statistics.best_set import best_set
from vaelens.statistics.bootstrap import BootstrapMean, percentile_interval, ratio_interval
from vaelens.statistics.cell_means import CellMeanCorrelation, cell_mean_correlation
from vaelens.statistics.comparison import compare_groups
from vaelens.statistics.effect_sizes import EffectSize, cliffs_delta, hedges_g
from vaelens.statistics.half_samples import half_sample_interval, half_samples
from vaelens.statistics.information import Information, posterior_information
from vaelens.statistics.multiplicity import holm_sidak
from vaelens.statistics.permutation import PermutationTest, permutation_test
from vaelens.statistics.repeated_measures import RepeatedMeasuresCorrelation, repeated_measures_correlation
from vaelens.statistics.sequence import ConfidenceSequence
from vaelens.statistics.weights import poisson_weights

__all__ = [
    "BootstrapMean",
    "CellMeanCorrelation",
    "ConfidenceSequence",
    "EffectSize",
    "Information",
    "PermutationTest",
    "RepeatedMeasuresCorrelation",
    "bca_interval",
    "best_set",
    "cell_mean_correlation",
    "cliffs_delta",
    "compare_groups",
    "half_sample_interval",
    "half_samples",
    "hedges_g",
    "holm_sidak",
    "percentile_interval",
    "permutation_test",
    "poisson_weights",
    "posterior_information",
    "ratio_interval",
    "repeated_measures_correlation",
]
