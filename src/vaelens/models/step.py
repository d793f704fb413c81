"""A training step, which takes a batch through the model and its discriminator to the terms of its objective.

It computes losses and changes no weight but the codebook's moving averages; `lightning_loop` takes the steps.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.models import objectives, posterior
from vaelens.models.catalogue import find_objective
from vaelens.models.likelihoods import find_likelihood
from vaelens.models.objectives.factor import Discriminator, discriminator_loss, permute_latents
from vaelens.models.randomness import next_seed, own_randomness
from vaelens.models.vae import VAE

_FEWEST_ADVERSARIAL = 4  # two images to train the model on, and two whose latents can be permuted


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses that one step computes."""

    terms: Mapping[str, Tensor]
    """The terms of the objective by name, `loss` among them; `squared_error`, the mean over pixels and images of the
    reconstruction's; and `discriminator`, what it minimises."""
    discriminator: Tensor | None
    """What the discriminator minimises."""
    kl_per_latent: Tensor | None
    """Mean KL of each latent's posterior from the prior, in nats, (d,); None with a codebook."""

    @property
    def minimised(self) -> list[Tensor]:
        """Returns the model's loss, and the discriminator's where there is one."""
        return [self.terms["loss"], *([] if self.discriminator is None else [self.discriminator])]

    @property
    def logged(self) -> dict[str, Tensor]:
        """Returns the terms, and `kl_per_latent`."""
        return {**self.terms, **({} if self.kl_per_latent is None else {"kl_per_latent": self.kl_per_latent})}


class TrainingStep(nn.Module):
    """Computes the losses of a model on a batch.

    Calling it gives the losses of a step. An objective with a discriminator takes the first half of the batch for
    the model, and the second half for the codes whose latents are permuted.

    Args:
        model: the model.
        dataset_size: the number of images that batches are drawn from.
        seed: draws the discriminator's first weights.

    Attributes:
        hyperparameters: the objective's; a schedule may change a value between steps.

    Example:
        >>> from vaelens.models import build_model
        >>> step = TrainingStep(build_model("factor-vae", image_shape=(1, 8, 8)), dataset_size=100, seed=0)
        >>> losses = step(torch.rand(8, 1, 8, 8), number=0, noise=torch.Generator().manual_seed(0))
        >>> sorted(losses.terms)
        ['discriminator', 'kl', 'loss', 'reconstruction', 'squared_error', 'total_correlation']
    """

    def __init__(self, model: VAE, dataset_size: int, seed: int) -> None:
        super().__init__()
        objective = find_objective(model.objective)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not trained:
            raise VaelensError(
                "the model has nothing to train: encoder and decoder have no weight that takes gradients"
            )
        self.model = model
        self.dataset_size = dataset_size
        self.hyperparameters: dict[str, Any] = dict(model.hyperparameters)
        self.discriminator: Discriminator | None = None
        if objective.adversarial:
            with own_randomness(seed):
                self.discriminator = Discriminator(model.latent_dim).to(trained[0])
        self._likelihood = find_likelihood(model.likelihood)
        self._dtype = trained[0].dtype  # data comes as float32
        self._objective = getattr(objectives, objective.function)
        self._takes = list(inspect.signature(self._objective).parameters)

    def forward(self, images: Tensor, number: int, noise: torch.Generator) -> Losses:
        """Computes the losses of a step.

        Args:
            images: the batch `(n, c, h, w)`, in [0, 1].
            number: the steps done before this one.
            noise: what the posterior's noise, and whatever else is random, is drawn with.

        Raises:
            VaelensError: if the images do not fit the model, or are too few for the objective.
        """
        # a dropout layer, say, can only draw from the global random state
        with own_randomness(next_seed(noise), images.device):
            return self._losses(images.to(self._dtype), number, noise)

    def _losses(self, images: Tensor, number: int, noise: torch.Generator) -> Losses:
        permuted = None  # the images whose latents are
        if self.discriminator is not None:
            if len(images) < _FEWEST_ADVERSARIAL:
                raise VaelensError(
                    f"a batch has {len(images)} images; a discriminator needs at least {_FEWEST_ADVERSARIAL}, half of "
                    "them for the codes whose latents are permuted: give a larger batch_size"
                )
            images, permuted = images.tensor_split(2)
        mu, logvar = self.model.encode(images)
        tensors: dict[str, Any] = {"mu": mu, "logvar": logvar, "step": number, "dataset_size": self.dataset_size}
        if logvar is None:
            quantised = self.model.quantise(mu, noise)
            logits = self.model.decoder(quantised.embedding)
            tensors |= {"encoded": mu, "quantised": quantised.embedding, "indices": quantised.indices}
        else:
            tensors["z"] = posterior.sample(mu, logvar, noise)
            logits = self.model.logits(tensors["z"])
        tensors["reconstruction"] = self.model.negative_log_likelihood(logits, images)
        discriminator = None
        if self.discriminator is not None and permuted is not None:
            with _frozen(self.discriminator):
                tensors["log_ratio"] = self.discriminator.log_ratio(tensors["z"])
            discriminator = self._discriminator_loss(self.discriminator, tensors["z"].detach(), permuted, noise)
        tensors |= self.hyperparameters
        terms = self._objective(**{name: tensors[name] for name in self._takes})
        with torch.no_grad():
            terms["squared_error"] = (self.model.mean(logits) - self._likelihood.target(images)).square().mean()
            if discriminator is not None:
                terms["discriminator"] = discriminator.detach()
            kl = None if logvar is None else posterior.kl_per_latent(mu, logvar).mean(0)
        return Losses(terms, discriminator, kl)

    def _discriminator_loss(
        self, discriminator: Discriminator, codes: Tensor, images: Tensor, noise: torch.Generator
    ) -> Tensor:
        with torch.no_grad():
            mu, logvar = self.model.encode(images)
            assert logvar is not None, "a discriminator looks at Gaussian codes"
            permuted = permute_latents(posterior.sample(mu, logvar, noise), noise)
        return discriminator_loss(discriminator(codes), discriminator(permuted))


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Keeps gradients, inside a `with`, from the module's parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
