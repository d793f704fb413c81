"""Likelihoods of a table's columns, categorical if one-hot, Bernoulli for a yes or no, Gaussian for numbers."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Vectors = Float[Tensor, "n features"]
Columns = Sequence[Sequence[int]]
LEAST_LOG_SCALE = -6.0  # of a learned Gaussian: a standard deviation of 0.0025


class ColumnMeans(nn.Module):
    """Returns the probability of each class, and the mean of each number, and holds the numbers' standard deviations.

    Args:
        features: how many there are.
        one_hot: the features of each categorical column; one alone is a yes or no. All others are numbers.
    """

    def __init__(self, features: int, one_hot: Columns) -> None:
        super().__init__()
        self.one_hot = [tuple(column) for column in one_hot]
        classes = {feature for column in self.one_hot for feature in column}
        numbers = [feature for feature in range(features) if feature not in classes]
        columns = [numbers, *map(list, self.one_hot)]
        order = [feature for column in columns for feature in column]
        places = torch.argsort(torch.tensor(order))
        self.log_scale = nn.Parameter(torch.zeros(len(numbers)))
        self.register_buffer("places", places, persistent=False)
        for k, column in enumerate(columns):
            self.register_buffer(f"column{k}", torch.tensor(column, dtype=torch.int64), persistent=False)

    def forward(self, output: Vectors) -> Vectors:
        """Returns softmax of each categorical column, the sigmoid of a yes or no, and numbers as they are."""
        values = [output.index_select(1, self.get_buffer("column0"))]
        for k, column in enumerate(self.one_hot, start=1):
            own = output.index_select(1, self.get_buffer(f"column{k}"))
            values.append(torch.sigmoid(own) if len(column) == 1 else torch.softmax(own, dim=1))
        return torch.cat(values, dim=1).index_select(1, self.get_buffer("places"))


def columns_negative_log_likelihood(
    output: Vectors, x: Vectors, log_scale: Float[Tensor, " numbers"], one_hot: Columns
) -> Float[Tensor, " n"]:
    """Computes the negative log-likelihood of each row of a table, in nats.

    `−Σ log softmax(l)_class` over categorical columns, the binary cross-entropy of each yes or no, and of numbers
    `Σ (x − m)² / 2s² + log s + log(2π) / 2`, with a standard deviation s for each, learned.

    Args:
        output: the decoder's: logits l, and means m.
        x: rows: 1 for the class and 0 for the others, numbers as they are.
        log_scale: log s of each number, in their order; at least −6 counts.
        one_hot: the features of each categorical column; one alone is a yes or no.

    Returns:
        One value a row; lower is better.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0, 0.0, 1.0]])  # one of three classes, and a yes
        >>> columns_negative_log_likelihood(torch.zeros(1, 4), x, torch.zeros(0), [(0, 1, 2), (3,)]).exp()  # 3 · 2
        tensor([6.])
    """
    classes = {feature for column in one_hot for feature in column}
    numbers = [feature for feature in range(x.shape[1]) if feature not in classes]
    scale = log_scale.clamp(min=LEAST_LOG_SCALE)
    errors = (x[:, numbers] - output[:, numbers]) * (-scale).exp()
    total = (0.5 * errors.square() + scale + 0.5 * math.log(2 * math.pi)).sum(dim=1)
    for column in one_hot:
        logits, truth = output[:, list(column)], x[:, list(column)]
        if len(column) == 1:
            total = total + functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(dim=1)
        else:
            total = total - (truth * functional.log_softmax(logits, dim=1)).sum(dim=1)
    return total


def output_of_columns(means: Vectors, precision: torch.finfo, one_hot: Columns) -> Vectors:
    """Returns the decoder's output, but for constants that cancel, of what `ColumnMeans` made of it."""
    output = means.clone()
    for column in one_hot:
        p = means[:, list(column)]
        logits = log_odds(p, precision) if len(column) == 1 else p.clamp(min=precision.tiny).log()
        output[:, list(column)] = logits
    return output


def log_odds(p: Tensor, precision: torch.finfo) -> Tensor:
    """Returns the logits of probabilities.

    Those that have come to 0 or 1 are taken as the least number of their type, or half of its last digit, away.
    """
    return p.clamp(min=precision.tiny).log() - (1 - p).clamp(min=precision.eps / 2).log()
