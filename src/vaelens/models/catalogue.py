"""The catalogue of objectives, with the formula, hyperparameters and source of each.

It imports no PyTorch, so that the command line can list it at once; the functions are in `objectives`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vaelens.errors import VaelensError, unknown
from vaelens.models.annotations import ObjectiveName, Values
from vaelens.models.hyperparameters import Choice, Hyperparameter, Number, Value, Whole

LATENT_DIM = 10


@dataclass(frozen=True)
class Objective:
    """A line of the catalogue."""

    name: str
    formula: str
    source: str
    """Authors and year."""
    hyperparameters: tuple[Hyperparameter, ...] = ()
    latent_dim: int = LATENT_DIM
    """The number of latents a model has unless said otherwise."""
    quantised: bool = False
    """Whether the latent is a grid of codes of a codebook rather than a Gaussian."""
    adversarial: bool = False
    """Whether a discriminator is trained beside the model."""

    @property
    def function(self) -> str:
        """Returns the name of its function in `vaelens.models.objectives`."""
        return self.name.replace("-", "_")

    def resolve(self, values: Values) -> dict[str, Value]:
        """Completes the hyperparameters that are given by the defaults of the rest.

        Raises:
            VaelensError: if one is unknown or out of range.

        Example:
            >>> CATALOGUE["beta-tc-vae"].resolve({"beta": 2})
            {'beta': 2.0, 'sampling': 'minibatch-weighted'}
        """
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            raise VaelensError(f"hyperparameters are {values!r}; expected a dictionary of values by name")
        names = [hyperparameter.name for hyperparameter in self.hyperparameters]
        for name in values:
            if name not in names:
                raise unknown(f"hyperparameter of {self.name}", name, names)
        return {h.name: h.check(values.get(h.name, h.default)) for h in self.hyperparameters}


CATALOGUE: Mapping[str, Objective] = MappingProxyType(
    {
        objective.name: objective
        for objective in (
            Objective("vae", "R + KL", "Kingma & Welling 2014"),
            Objective(
                "beta-vae",
                "R + beta·KL",
                "Higgins et al. 2017",
                (Number("beta", "weight of the KL divergence; 1 is the plain VAE", 4.0, 0.0, 1000.0),),
            ),
            Objective(
                "annealed-vae",
                "R + gamma·|KL − C(t)|",
                "Burgess et al. 2018",
                (
                    Number("gamma", "weight of the distance between KL and capacity", 1000.0, 0.0, 1e6),
                    Number("c_max", "capacity reached in the end, in nats", 25.0, 0.0, 1000.0),
                    Whole("annealing_steps", "steps in which the capacity rises from 0 to c_max", 100_000, 1, 10**9),
                ),
            ),
            Objective(
                "factor-vae",
                "R + KL + gamma·TC",
                "Kim & Mnih 2018",
                (
                    Number("gamma", "weight of the discriminator's total correlation", 35.0, 0.0, 1e6),
                    Number("discriminator_lr", "learning rate of the discriminator", 1e-4, 1e-8, 1.0),
                ),
                adversarial=True,
            ),
            Objective(
                "beta-tc-vae",
                "R + MI + beta·TC + dimension-wise KL",
                "Chen et al. 2018",
                (
                    Number("beta", "weight of the total correlation; 1 is the plain VAE", 6.0, 0.0, 1000.0),
                    Choice(
                        "sampling",
                        "how the density of the codes is estimated from a batch",
                        "minibatch-weighted",
                        ("minibatch-weighted", "stratified"),
                    ),
                ),
            ),
            Objective(
                "dip-vae-i",
                "R + KL + lambda_od·Σ_i≠j C_ij² + lambda_d·Σ_i (C_ii − 1)², C = Cov[mu]",
                "Kumar et al. 2018",
                (
                    Number("lambda_od", "weight of the covariance's off-diagonal elements", 10.0, 0.0, 1e6),
                    Number("lambda_d", "weight of the covariance's diagonal elements", 100.0, 0.0, 1e6),
                ),
            ),
            Objective(
                "dip-vae-ii",
                "R + KL + lambda_od·Σ_i≠j C_ij² + lambda_d·Σ_i (C_ii − 1)², C = Cov[mu] + E[diag sigma²]",
                "Kumar et al. 2018",
                (
                    Number("lambda_od", "weight of the covariance's off-diagonal elements", 10.0, 0.0, 1e6),
                    Number("lambda_d", "weight of the covariance's diagonal elements", 10.0, 0.0, 1e6),
                ),
            ),
            Objective(
                "vq-vae",
                "R + commitment·‖z_e − sg[e]‖²",
                "van den Oord et al. 2017",
                (
                    Whole("codes", "number of codes in the codebook", 512, 2, 65_536),
                    Number("commitment", "weight of the commitment to the codes chosen", 0.25, 0.0, 1000.0),
                    Number("decay", "what the codebook's moving averages keep, a step", 0.99, 0.0, 0.99999),
                    Number("revival", "a code chosen less often a batch is replaced; 0 never is", 0.1, 0.0, 1000.0),
                ),
                latent_dim=64,
                quantised=True,
            ),
        )
    }
)


def find_objective(name: ObjectiveName) -> Objective:
    """Finds the objective of that name.

    Raises:
        VaelensError: if there is none.

    Example:
        >>> find_objective("beta-vae").source
        'Higgins et al. 2017'
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise unknown("model", name, CATALOGUE)
    return CATALOGUE[name]
