"""The lens: a trained VAE's sites, the interventions on them, and runs that leave the model as it was.

Nothing here knows a dataset or a metric.
"""

from vaelens.lens.interventions import Ablate, Add, Intervention, Patch, Scale, Set
from vaelens.lens.lens import Lens
from vaelens.lens.run import Hit, Run
from vaelens.lens.sites import Site

__all__ = ["Ablate", "Add", "Hit", "Intervention", "Lens", "Patch", "Run", "Scale", "Set", "Site"]
