"""The subject of an analysis, which is a lens, a dataset, the images taken from it, and the options."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sklearn
import torch
import xarray as xr
from torch import Tensor

from vaelens.analysis.disentanglement import DciEstimator
from vaelens.analysis.held_out import HeldOut
from vaelens.analysis.image_pool import ImagePool
from vaelens.analysis.shares import MOST_CODES
from vaelens.data import FactorDataset
from vaelens.lens import Batch, Lens, Patch, as_batch
from vaelens.observation_record import recorded
from vaelens.version import __version__


@dataclass(frozen=True)
class Subject:
    """What is analysed.

    Attributes:
        lens: the lens on the model.
        ds: the dataset.
        x: images of it, (n, *shape), in their context where the lens takes one.
        labels: their factor values, (n, K), −1 where missing.
        reader: reads the dataset's factors off images; or None.
        seed: of images, pairs and bootstrap resamples.
        dci_estimator: what DCI's predictors are.
        score_intervals: whether scores of codes and labels have intervals and levels of chance.
        apart: which images of the dataset the model was not trained on.
    """

    lens: Lens
    ds: FactorDataset
    x: Tensor | Batch
    labels: Tensor
    reader: Any
    seed: int
    dci_estimator: DciEstimator = "random-forest"
    score_intervals: bool = True
    apart: HeldOut = field(default_factory=lambda: HeldOut("unknown"))

    @cached_property
    def pool(self) -> ImagePool:
        """The images that codes are scored on."""
        return ImagePool(self.ds, self.apart.rows_for_codes(len(self.ds), MOST_CODES))

    @cached_property
    def positions(self) -> int:
        """How many positions the latent has, 1 where it has none."""
        return int(np.prod(self.lens.encode(self.x[:1]).shape[2:]))

    def describe(self) -> dict[str, Any]:
        """Describes all that the numbers depend on but what was asked for, in types that JSON holds."""
        reader = {}
        if self.reader is not None:
            described = {"factors": list(self.reader.factors), "accuracy": dict(self.reader.accuracy)}
            reader = {"reader": described | {"identity": getattr(self.reader, "identity", "")}}
        return {
            "versions": _versions(),
            "seed": self.seed,
            "images": len(self.x),
            "images_seen_in_training": self.apart.seen,
            "images_sha256": _sha256(as_batch(self.x).values),
            "model": self.lens.describe(),
            "sites": {name: site.units for name, site in self.lens.sites.items()},
            "precision": self.lens.precision,
            "dataset": self.ds.describe(),
            **({} if self.lens.observation.is_image else {"observation": recorded(self.lens.observation)}),
            **reader,
        }

    def checks(self) -> dict[str, bool]:
        """Checks that patching with itself changes no bit, and that the whole latent hands over all, on this model."""
        base = self.lens.run(self.x[:4], capture="all")
        source = self.lens.run(self.x[4:8], capture=["latent"])
        unchanged = [
            torch.equal(self.lens.run(self.x[:4], [Patch(site, "all", base)]).reconstruction, base.reconstruction)
            for site in self.lens.sites
        ]
        whole = self.lens.run(self.x[:4], [Patch("latent", "all", source)]).reconstruction
        return {
            "identity_patch_changes_no_bit": all(unchanged),
            "whole_latent_patch_equals_source": torch.equal(whole, source.reconstruction),
        }


def _sha256(x: Tensor) -> str:
    """Hashes images, in their order."""
    return hashlib.sha256(x.cpu().contiguous().numpy().tobytes()).hexdigest()


def _versions() -> Mapping[str, str]:
    versions = {"vaelens": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return versions | {"numpy": np.__version__, "scikit-learn": sklearn.__version__, "xarray": xr.__version__}
