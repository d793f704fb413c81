"""The construction of a new model by the name of its objective."""

from vaelens.arguments import check_seed
from vaelens.models.annotations import (
    Count,
    HyperparameterValue,
    ImageShape,
    LikelihoodName,
    ObjectiveName,
    OwnModule,
    Seed,
)
from vaelens.models.vae import VAE
from vaelens.observation import Observation  # noqa: F401, of the example


def build_model(
    name: ObjectiveName,
    image_shape: ImageShape,
    latent_dim: Count | None = None,
    likelihood: LikelihoodName | None = None,
    seed: Seed = 0,
    encoder: OwnModule = None,
    decoder: OwnModule = None,
    **hyperparameters: HyperparameterValue,
) -> VAE:
    """Builds a new, untrained model.

    Args:
        name: what it is trained by, a name of the catalogue (`vaelens models` lists them): `vae`, `beta-vae`,
            `annealed-vae`, `factor-vae`, `beta-tc-vae`, `dip-vae-i`, `dip-vae-ii`, `vq-vae`.
        image_shape: (channels, height, width): 1 or 3 channels, square, side 8, 16, 28, 32, 64 or 128; (features,) of
            vectors, (channels, time) of series, (channels, depth, height, width) of volumes, of any size; with encoder
            and decoder of your own, any. Or an `Observation`, such as a dataset's: the model then keeps its names,
            groups and unit, and a `Lens` on it knows them.
        latent_dim: number of latents d, 1 to 256: 10 unless said otherwise; 64 for `vq-vae`, the dimensions of a
            code.
        likelihood: a value's distribution: `bernoulli`; `gaussian` (standard deviation 1); `gaussian-learned` (one for
            each feature, learned); of counts `negative-binomial` or `zero-inflated-negative-binomial`, about each
            feature's share of an observation's total; of a table `categorical`: one-hot columns are, and numbers are
            Gaussian with learned standard deviations. By default `bernoulli` of images; of an `Observation`
            with one-hot columns `categorical`, of one in "counts" `negative-binomial`; `gaussian-learned` of all else.
        seed: draws the first weights, at least 0; the global random state is not touched.
        encoder: a module of your own in place of ours; see `VAE`. It keeps its weights.
        decoder: likewise.
        **hyperparameters: the objective's, by name; the defaults for those left out.

    Returns:
        The model, on the CPU; `vl.train` trains it in place.

    Raises:
        VaelensError: if a name is unknown, a value out of range, or a module of your own does not fit.

    Example:
        >>> build_model("beta-vae", image_shape=(1, 64, 64), beta=4.0).hyperparameters
        {'beta': 4.0}
        >>> flowers = Observation.vector(["length", "blue", "red"], one_hot=[["blue", "red"]])
        >>> build_model("vae", flowers, latent_dim=2).likelihood
        'categorical'
    """
    model = VAE(name, image_shape, latent_dim, likelihood, hyperparameters, encoder, decoder)
    model.initialise(check_seed(seed))
    return model
