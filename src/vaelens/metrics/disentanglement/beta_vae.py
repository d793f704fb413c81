"""The beta-VAE score, or how well a linear classifier tells the factor that pairs share from how their codes differ.

Costs an encoding of every image sampled, each once. At the defaults 1,920,000 are, so up to the whole dataset.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vaelens.arguments import Progress, Seed, check_seed, whole_number
from vaelens.data import FactorDataset
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.classes import logistic_regression
from vaelens.metrics.disentanglement.held_factors import DrawnCodes, HeldFactors
from vaelens.metrics.latent_means import Represents
from vaelens.progress import check_progress

_CODES_AT_ONCE = 2**22  # 32 MB


@dataclass(frozen=True)
class BetaVAEScore:
    """The beta-VAE score of one representation, and how it was made, of which `float(...)` is the score."""

    score: float  # [0, 1], higher: the factor shared is told from the differences; accuracy on the test batches
    train_accuracy: float  # the same on the batches that the classifier was fitted to
    n_train: int  # batches
    n_test: int
    batch_size: int  # pairs of images in a batch
    n_encoded: int  # different images encoded for all of this
    constant_latents: tuple[int, ...] = ()  # one value in all images encoded: no difference to tell anything from
    constant_factors: tuple[int, ...] = ()  # one value in the dataset: never shared on purpose

    def __float__(self) -> float:
        return self.score


def beta_vae_score(
    lens: Represents | Any,
    ds: FactorDataset | Any,
    seed: Seed = 0,
    *,
    n_train: int = 10_000,
    n_test: int = 5_000,
    batch_size: int = 64,
    progress: Progress = True,
) -> BetaVAEScore:
    """Measures how often the factor that pairs of images share is identified from the differences of their codes.

    For each batch a factor k is drawn, and L pairs of images, each pair sharing a value of k and random otherwise.
    With the mean absolute difference of a batch's codes, z_diff = 1/L Σ_l |mu(x_l) − mu(x'_l)|, a multinomial
    logistic regression (scikit-learn's defaults: L2 with C = 1) is fitted to predict k from z_diff on the training
    batches; the score is its accuracy on the test batches.

    A factor with one value is never drawn. A constant latent differs nowhere and tells nothing; it is listed. The
    score does not ask that a factor has a latent of its own: rotated codes can reach 1. The regression is not
    blind to scale: codes of small spread are penalised more.

    On a dataset that is no full grid, a partner is drawn among the rows that share the first image's value, so the
    other factors are as they come with it; a value that one image alone has is never shared.

    Args:
        lens: the lens; `lens.representation` is scored: mu(x), or the quantised code, each as a mean over positions
            where there are any.
        ds: a dataset with 2 factors or more that vary.
        seed: draws factors and images.
        n_train: training batches.
        n_test: test batches.
        batch_size: L, pairs in a batch. The defaults are the reference's.
        progress: whether to show a bar on standard error, or a function of (images encoded, images in all).

    Returns:
        The score in [0, 1], higher is better; 1/K is a guess among the K factors that vary.

    Raises:
        VaelensError: if the dataset has no factors or one, an image cannot be encoded or its code is not finite, a
            number is out of range, or the training batches hold one factor only.

    References:
        beta-VAE: learning basic visual concepts with a constrained variational framework (Higgins et al., 2017).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the classifier and the defaults.

    Example:
        >>> import vaelens as vl
        >>> ds = vl.load_dataset("sprites")
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=ds.image_shape, latent_dim=3))
        >>> result = vl.beta_vae_score(lens, ds, n_train=40, n_test=20, batch_size=4)
        >>> 0 <= float(result) <= 1, result.n_test, result.batch_size
        (True, 20, 4)
    """
    rng = np.random.default_rng(check_seed(seed))
    check_progress(progress)
    n_train, n_test = whole_number("n_train", n_train, low=2), whole_number("n_test", n_test, low=1)
    batch_size = whole_number("batch_size", batch_size, low=1)
    sampler = HeldFactors(ds)
    held, first, second = sampler.draw(n_train + n_test, batch_size, rng, paired=True)
    if np.ptp(held[:n_train]) == 0:
        raise VaelensError(f"n_train is {n_train}, and all training batches drew the same factor; draw more batches")
    codes = DrawnCodes(lens, ds, progress, first, second)
    difference = _mean_difference(codes, first, second)
    model = logistic_regression(difference[:n_train], held[:n_train], "beta-VAE score")
    correct = np.equal(model.predict(difference), held)
    return BetaVAEScore(
        score=float(correct[n_train:].mean()),
        train_accuracy=float(correct[:n_train].mean()),
        n_train=n_train,
        n_test=n_test,
        batch_size=batch_size,
        n_encoded=len(codes.table),
        constant_latents=tuple(np.flatnonzero(np.ptp(codes.table, axis=0) == 0).tolist()),
        constant_factors=tuple(sorted(set(range(len(ds.factors))) - set(sampler.factors.tolist()))),
    )


def _mean_difference(
    codes: DrawnCodes, first: Int[np.ndarray, "n b"], second: Int[np.ndarray, "n b"]
) -> Float[np.ndarray, "n d"]:
    """Computes the mean absolute difference of each batch's codes."""
    batches = max(1, _CODES_AT_ONCE // (first.shape[1] * codes.table.shape[1]))
    cuts = range(batches, len(first), batches)
    return np.concatenate(
        [
            np.abs(codes.at(a) - codes.at(b)).mean(axis=1)
            for a, b in zip(np.split(first, cuts), np.split(second, cuts), strict=True)
        ]
    )
