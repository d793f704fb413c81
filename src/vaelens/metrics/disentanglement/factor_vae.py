"""The FactorVAE score, or how well a factor that is held can be told from the latent that then varies least.

Costs an encoding of every image sampled, each once. At the defaults about 970,000 are, so up to the whole dataset.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vaelens.arguments import Progress, Seed, check_seed, whole_number
from vaelens.data import FactorDataset
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.held_factors import DrawnCodes, HeldFactors
from vaelens.metrics.latent_means import Represents
from vaelens.progress import check_progress

_CODES_AT_ONCE = 2**22  # 32 MB


@dataclass(frozen=True, eq=False)
class FactorVAEScore:
    """The FactorVAE score of one representation, the votes behind it, and how they were made.

    `float(...)` is the score.
    """

    score: float  # [0, 1], higher: each factor holds latents of its own still; accuracy on the test batches
    train_accuracy: float  # the same on the training batches, which chose the factor that each latent stands for
    votes: Int[np.ndarray, "d K"]  # training batches that held factor k in which latent j moved least
    n_train: int  # batches
    n_test: int
    batch_size: int  # images in a batch
    n_variance: int  # images that the latents' variances are taken over
    n_encoded: int  # different images encoded for all of this
    pruned_latents: tuple[int, ...] = ()  # standard deviation below the threshold: rows of zeros in the votes
    constant_factors: tuple[int, ...] = ()  # one value in the dataset: columns of zeros

    def __float__(self) -> float:
        return self.score


def factor_vae_score(
    lens: Represents | Any,
    ds: FactorDataset | Any,
    seed: Seed = 0,
    *,
    n_train: int = 10_000,
    n_test: int = 5_000,
    batch_size: int = 64,
    n_variance: int = 10_000,
    threshold: float = 0.05,
    progress: Progress = True,
) -> FactorVAEScore:
    """Measures how often the factor held fixed in a batch is identified by the latent that varies least in it.

    For each batch a factor k is drawn, and L images that share its value and are random otherwise. The latent with
    the smallest variance in the batch relative to all images, d* = argmin_j Var_batch(z_j) / Var(z_j), votes for k.
    Of the training batches' votes V_jk the classifier is made that takes latent j for its most frequent factor,
    argmax_k V_jk; the score is its accuracy on the test batches. Variances have n − 1 below.

    A latent whose standard deviation over all images is below the threshold, or 0, is pruned: it has no vote. With
    every latent pruned the score is 0, as in the reference. A factor with one value is never held. The score forgives
    two latents for one factor, and is above 1/K for noise, where K factors vary.

    On a dataset that is no full grid, images that share a value are drawn from its rows with that value, so the other
    factors are as they come with it; a value that one image alone has is never held.

    Args:
        lens: the lens; `lens.representation` is scored: mu(x), or the quantised code, each as a mean over positions
            where there are any.
        ds: a dataset with 2 factors or more that vary.
        seed: draws factors and images.
        n_train: training batches.
        n_test: test batches.
        batch_size: L, 2 or more. The defaults are the reference's.
        n_variance: images over which Var(z_j) is taken, drawn without replacement; all where there are fewer.
        threshold: least standard deviation of a latent, in the code's own unit: the default is for a prior of
            standard deviation 1.
        progress: whether to show a bar on standard error, or a function of (images encoded, images in all).

    Returns:
        The score in [0, 1], higher is better, with the votes `(d, K)`.

    Raises:
        VaelensError: if the dataset has no factors or one, an image cannot be encoded or its code is not finite, or
            a number is out of range.

    References:
        Disentangling by factorising (Kim, Mnih, 2018).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the defaults and the threshold.

    Example:
        >>> import vaelens as vl
        >>> ds = vl.load_dataset("sprites")
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=ds.image_shape, latent_dim=3))
        >>> result = vl.factor_vae_score(lens, ds, n_train=40, n_test=20, batch_size=4, n_variance=50, threshold=0)
        >>> 0 <= float(result) <= 1, result.votes.shape, int(result.votes.sum())
        (True, (3, 5), 40)
    """
    rng = np.random.default_rng(check_seed(seed))
    check_progress(progress)
    n_train, n_test = whole_number("n_train", n_train, low=1), whole_number("n_test", n_test, low=1)
    batch_size, n_variance = (
        whole_number("batch_size", batch_size, low=2),
        whole_number("n_variance", n_variance, low=2),
    )
    if not (isinstance(threshold, int | float | np.floating) and threshold >= 0):
        raise VaelensError(f"threshold is {threshold!r}; expected a standard deviation, 0 or more, usually 0.05")
    sampler = HeldFactors(ds)
    everything = rng.choice(len(ds), size=min(n_variance, len(ds)), replace=False)
    held, _, drawn = sampler.draw(n_train + n_test, batch_size, rng, paired=False)
    codes = DrawnCodes(lens, ds, progress, everything, drawn)
    variance = codes.at(everything).var(axis=0, ddof=1)
    active = (np.sqrt(variance) >= threshold) & (variance > 0)
    votes = np.zeros((2, len(variance), len(ds.factors)), dtype=np.int64)  # (training or test, latents, factors)
    if active.any():
        stillest = np.flatnonzero(active)[_stillest(codes, drawn, active, variance[active])]
        test = (np.arange(len(held)) >= n_train).astype(np.int64)
        np.add.at(votes, (test, stillest, held), 1)
    meant = votes[0].argmax(axis=1)  # the factor that each latent stands for
    correct = votes[:, np.arange(len(meant)), meant].sum(axis=1)
    return FactorVAEScore(
        score=float(correct[1] / n_test),
        train_accuracy=float(correct[0] / n_train),
        votes=votes[0],
        n_train=n_train,
        n_test=n_test,
        batch_size=batch_size,
        n_variance=len(everything),
        n_encoded=len(codes.table),
        pruned_latents=tuple(np.flatnonzero(~active).tolist()),
        constant_factors=tuple(sorted(set(range(len(ds.factors))) - set(sampler.factors.tolist()))),
    )


def _stillest(
    codes: DrawnCodes, drawn: Int[np.ndarray, "n b"], active: np.ndarray, variance: Float[np.ndarray, " a"]
) -> Int[np.ndarray, " n"]:
    """Finds the active latent with the least variance relative to all images, in each batch."""
    batches = max(1, _CODES_AT_ONCE // (drawn.shape[1] * len(active)))
    return np.concatenate(
        [
            (codes.at(chunk)[..., active].var(axis=1, ddof=1) / variance).argmin(axis=1)  # (batches, active latents)
            for chunk in np.split(drawn, range(batches, len(drawn), batches))
        ]
    )
