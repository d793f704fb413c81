"""The specificity of all units at once, which that of one unit is compared with."""

import torch
from torch import Tensor

from vaelens.effects.codes import Codes
from vaelens.effects.decoded_chunk import DecodedChunk
from vaelens.effects.entropy import row_specificities
from vaelens.effects.outputs import Outputs, rounding_in
from vaelens.effects.record import RESAMPLES
from vaelens.effects.replacements import Replacements
from vaelens.lens import Lens
from vaelens.statistics import BootstrapMean


def specificity_at_once(
    lens: Lens, codes: Codes, plan: Replacements, outputs: Outputs, images: Tensor, seed: int
) -> BootstrapMean:
    """Measures each image's normalised specificity, all units intervened on at once, and whether it changes, (2,).

    Args:
        lens: the lens.
        codes: of all images.
        plan: the interventions.
        outputs: what specificity counts.
        images: which of them it is measured on, (m,); all of them where rows draw random numbers or influence others.
        seed: of the bootstrap weights.
    """
    total = BootstrapMean((2,), RESAMPLES, seed)
    first_row, values = 0, len(plan.labels)
    measured = torch.arange(len(codes.z)) if lens.engine.coupled else images
    for rows in measured.split(lens.engine.rows_uncached):
        chunk = DecodedChunk(lens, codes.batch[rows], rows, first_row)
        start = outputs.start(chunk)
        changed = torch.zeros(len(rows), outputs.count, device=start.device)
        for image in chunk.decoded(lambda k, rows=rows: plan.changed_at_once(rows, k), values):
            changed = outputs.change(chunk, image, start) + changed
        total.update(row_specificities(changed / values, outputs.weights, rounding_in(outputs, start)))
        first_row += len(rows)
    return total
