"""The code of a TVAE's rows, from a table's own units to what the encoder is given, and from what is decoded back.

ctgan codes a number by a mode of a mixture, `(value − mean) / 4 s` and the mode one-hot; classes are one-hot anyhow.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vaelens.lens.adapters.tvae_columns import WIDTHS, ClassColumn, Column, NumberColumn

_FARTHEST = 0.99  # that a number is coded as, as in ctgan


class TableCode(nn.Module):
    """Codes rows, and decodes them, all numbers at once.

    Each number has as many modes as the one with most; those that are not its own have no probability. So with classes.

    Args:
        columns: of the table.
        like: a weight of the model, whose type and device are taken.
    """

    means: Tensor
    rests: Tensor
    spreads: Tensor
    log_weights: Tensor
    number_places: Tensor
    coded_places: Tensor
    within_places: Tensor
    mode_places: Tensor
    class_places: Tensor
    row_places: Tensor

    def __init__(self, columns: Sequence[Column], like: Tensor) -> None:
        super().__init__()
        numbers = [column for column in columns if isinstance(column, NumberColumn)]
        classes = [column for column in columns if isinstance(column, ClassColumn)]
        self._modes = len(numbers), max((len(column.means) for column in numbers), default=1)
        self._classes = len(classes), max((len(column.classes) for column in classes), default=1)
        means, spreads, log_weights = np.zeros(self._modes), np.ones(self._modes), np.full(self._modes, -np.inf)
        for k, column in enumerate(numbers):
            own = slice(0, len(column.means))
            means[k, own], spreads[k, own], log_weights[k, own] = column.means, column.spreads, column.log_weights
        for name, values in {"means": means, "spreads": spreads, "log_weights": log_weights}.items():
            self.register_buffer(name, torch.from_numpy(values).to(like))
        # What the model's type loses of a mean: a mode may be far narrower than its mean is large.
        self.register_buffer("rests", (torch.from_numpy(means) - self.means.cpu().double()).to(like))
        for name, places in _places(columns, self._modes, self._classes).items():
            self.register_buffer(name, torch.tensor(places, dtype=torch.int64, device=like.device))

    def coded(self, rows: Tensor) -> Tensor:
        """Returns rows, (n, features), as the encoder takes them.

        Each number is coded by the mode that it most probably comes from, where ctgan draws the mode at random, in
        proportion to these probabilities.
        """
        numbers = rows.index_select(1, self.number_places).unsqueeze(2)  # (n, numbers, 1)
        away = ((numbers - self.means) - self.rests) / self.spreads  # (n, numbers, modes)
        likeliest = (self.log_weights - 0.5 * away.square()).argmax(dim=2, keepdim=True)
        within = (away / WIDTHS).gather(2, likeliest).squeeze(2).clamp(-_FARTHEST, _FARTHEST)
        modes = torch.zeros_like(away).scatter(2, likeliest, 1.0)
        return torch.cat([within, modes.flatten(1), rows], dim=1).index_select(1, self.coded_places)

    def uncoded(self, output: Tensor) -> Tensor:
        """Returns the mean rows, (n, features), of the decoder's output.

        A number is its mean over modes of probabilities p, `Σ_k p_k (m_k + 4 s_k tanh a)`, and a class its probability.
        """
        padded = torch.cat([output, torch.full_like(output[:, :1], -torch.inf)], dim=1)
        modes = padded.index_select(1, self.mode_places).unflatten(1, self._modes).softmax(dim=2)
        within = torch.tanh(output.index_select(1, self.within_places)).unsqueeze(2)  # (n, numbers, 1)
        numbers = (modes * (self.means + WIDTHS * self.spreads * within)).sum(dim=2)
        classes = padded.index_select(1, self.class_places).unflatten(1, self._classes).softmax(dim=2)
        return torch.cat([numbers, classes.flatten(1)], dim=1).index_select(1, self.row_places)


def _places(columns: Sequence[Column], modes: tuple[int, int], classes: tuple[int, int]) -> dict[str, list[int]]:
    """Finds where values come from.

    Args:
        columns: of the table.
        modes: how many columns of numbers there are, and the modes of each.
        classes: how many columns of classes there are, and the classes of each.

    Returns:
        `number_places`: of numbers among features; `coded_places`: of what the encoder takes among numbers within their
        modes, modes and features; `within_places`, `mode_places`, `class_places`: among the decoder's outputs, one past
        them for what is not there; `row_places`: of features among numbers and classes.
    """
    past = sum(len(column.means) + 1 if isinstance(column, NumberColumn) else len(column.classes) for column in columns)
    number, coded, within, mode, category, row = ([] for _ in range(6))
    feature = output = 0
    for column in columns:
        if isinstance(column, NumberColumn):
            own, k = len(column.means), len(number)
            first = modes[0] + k * modes[1]
            coded += [k, *range(first, first + own)]
            row.append(k)
            number.append(feature)
            within.append(output)
            mode += [*range(output + 1, output + 1 + own), *[past] * (modes[1] - own)]
            feature, output = feature + 1, output + 1 + own
        else:
            own = len(column.classes)
            first = modes[0] * (1 + modes[1]) + feature
            coded += range(first, first + own)
            row += range(modes[0] + len(category), modes[0] + len(category) + own)
            category += [*range(output, output + own), *[past] * (classes[1] - own)]
            feature, output = feature + own, output + own
    places = {"number": number, "coded": coded, "within": within, "mode": mode, "class": category, "row": row}
    return {f"{name}_places": values for name, values in places.items()}
