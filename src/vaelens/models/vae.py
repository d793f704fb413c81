"""The variational autoencoder: encoder, Gaussian posterior, decoder, likelihood, and the objective it is trained by.

It knows how to save and load itself, and nothing of how it is trained.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from vaelens.arguments import check_seed, whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.models import backbone, posterior
from vaelens.models.catalogue import find_objective
from vaelens.models.likelihoods import find_likelihood
from vaelens.models.model_folder import find_folder, load_weights, read_config, read_weights
from vaelens.models.objectives import ForwardPass
from vaelens.version import __version__

MAX_LATENT_DIM = 256

MODEL_CARD = """
---
{{ card_data }}
---

A variational autoencoder made with vaelens. Its objective, image shape and number of latents are in `config.json`,
its weights in `model.safetensors`.

```python
import vaelens as vl

model = vl.VAE.from_pretrained("this folder, or hf://owner/name")
```
"""


class VAE(
    nn.Module,
    PyTorchModelHubMixin,
    model_card_template=MODEL_CARD,
    library_name="vaelens",
    tags=["variational-autoencoder"],
):
    """A variational autoencoder of images.

    `save_pretrained(folder)` writes `config.json` and `model.safetensors`, `push_to_hub(name)` sends them to the
    Hugging Face Hub. The weights a new model starts from are drawn as by `build_model(seed=0)`; neither draws from
    the global random state.

    Args:
        objective: what it is trained by, a name of the catalogue.
        image_shape: (channels, height, width): 1 or 3 channels, square, side 8, 16, 28, 32, 64 or 128.
        latent_dim: number of latents d, 1 to 256.
        likelihood: a pixel's distribution, `bernoulli` or `gaussian` (standard deviation 1).
        hyperparameters: the objective's, by name; the defaults for those left out.

    Raises:
        VaelensError: if a name is unknown or a value out of range.

    Example:
        >>> model = VAE("beta-vae", image_shape=(1, 32, 32), hyperparameters={"beta": 2.0})
        >>> mu, logvar = model.encode(torch.zeros(5, 1, 32, 32))
        >>> model.decode(mu).shape
        torch.Size([5, 1, 32, 32])
    """

    def __init__(
        self,
        objective: Any = "vae",
        image_shape: Any = (1, 64, 64),
        latent_dim: Any = 10,
        likelihood: Any = "bernoulli",
        hyperparameters: Any = None,
    ) -> None:
        super().__init__()
        found = find_objective(objective)
        self.objective: str = found.name
        self.hyperparameters = found.resolve(hyperparameters)
        self.image_shape = backbone.check_image_shape(image_shape)
        self.latent_dim = whole_number("latent_dim", latent_dim, 1, MAX_LATENT_DIM)
        self.likelihood: str = find_likelihood(likelihood).name
        with _own_randomness(0):
            self.encoder = backbone.encoder(self.image_shape, self.latent_dim)
            self.decoder = backbone.decoder(self.image_shape, self.latent_dim)
        self.mean = find_likelihood(likelihood).mean()
        # what the mixin writes to config.json: with the defaults filled in, so that it says all
        self._hub_mixin_config = {**self.config, "vaelens_version": __version__}

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, complete, as JSON holds them."""
        return {
            "objective": self.objective,
            "image_shape": list(self.image_shape),
            "latent_dim": self.latent_dim,
            "likelihood": self.likelihood,
            "hyperparameters": dict(self.hyperparameters),
        }

    def extra_repr(self) -> str:
        """The config, at the head of what `print(model)` shows."""
        return ", ".join(f"{name}={value!r}" for name, value in self.config.items())

    def encode(self, x: Any) -> tuple[Tensor, Tensor]:
        """The posterior's parameters.

        Args:
            x: images `(n, c, h, w)`, in [0, 1].

        Returns:
            mu `(n, d)`, the code, and logvar `(n, d)`, the log-variance.

        Raises:
            VaelensError: if the images' shape or type is not the model's.
        """
        self._check(x, self.image_shape, "images")
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar

    def logits(self, z: Any) -> Tensor:
        """The decoder's output as it is, before the likelihood's mean: `(n, c, h, w)`, any real number.

        Args:
            z: codes `(n, d)`.

        Raises:
            VaelensError: if the codes' shape or type is not the model's.
        """
        self._check(z, (self.latent_dim,), "codes")
        return self.decoder(z)

    def decode(self, z: Any) -> Tensor:
        """The mean image D(z), `(n, c, h, w)`: in [0, 1] for a Bernoulli likelihood, any real for a Gaussian.

        Args:
            z: codes `(n, d)`.

        Raises:
            VaelensError: if the codes' shape or type is not the model's.
        """
        return self.mean(self.logits(z))

    def forward(self, x: Any, generator: torch.Generator | None = None) -> Tensor:
        """The reconstruction `(n, c, h, w)`: of the posterior mean, or of a sample if a generator is given.

        Args:
            x: images `(n, c, h, w)`, in [0, 1].
            generator: what the sample is drawn with.

        Raises:
            VaelensError: if the images' shape or type is not the model's.
        """
        mu, logvar = self.encode(x)
        return self.decode(mu if generator is None else posterior.sample(mu, logvar, generator))

    def loss_terms(self, x: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """The objective on a batch: the terms of the loss by name, `loss` among them, in nats an image.

        Args:
            x: images `(n, c, h, w)`, in [0, 1].
            generator: what the posterior's noise is drawn with.

        Raises:
            VaelensError: if the images' shape or type is not the model's.
        """
        mu, logvar = self.encode(x)
        code = posterior.sample(mu, logvar, generator)
        reconstruction = find_likelihood(self.likelihood).negative_log_likelihood(self.logits(code), x)
        forward = ForwardPass(reconstruction, mu, logvar, code)
        return find_objective(self.objective).function(forward, **self.hyperparameters)

    def initialise(self, seed: int) -> None:
        """Draws new weights, PyTorch's default distribution for each layer, without the global random state."""
        with _own_randomness(seed):
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                    module.reset_parameters()

    def save_pretrained(self, save_directory: Any, **options: Any) -> str | None:
        """Writes `config.json`, `model.safetensors` and a short model card into the folder.

        Args:
            save_directory: the folder; made where there is none.
            **options: those of `huggingface_hub.PyTorchModelHubMixin.save_pretrained`.

        Raises:
            VaelensError: if there is a file of that name.
        """
        if Path(save_directory).is_file():
            raise VaelensError(f"{str(save_directory)!r} is a file; give a folder to save the model in")
        return super().save_pretrained(save_directory, **options)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **model_kwargs: Any,
    ) -> "VAE":
        """The saved model, with every bit of its weights, on the CPU, in eval mode.

        Args:
            pretrained_model_name_or_path: the folder, or `hf://owner/name` for a model on the Hugging Face Hub
                (a name without `hf://` is always a folder: nothing is looked for on the network).
            force_download: whether to download again what is in the Hub's cache.
            token: the Hub's, for a private model.
            cache_dir: the Hub's cache.
            local_files_only: whether to take what is in the cache without asking the Hub.
            revision: a branch, tag or commit on the Hub.
            **model_kwargs: none; a saved model's settings are in its folder.

        Raises:
            VaelensError: if the folder or a file in it is missing or damaged, or it holds no model of ours.
        """
        for name in model_kwargs:
            known = ["force_download", "token", "cache_dir", "local_files_only", "revision"]
            raise unknown("argument of from_pretrained", name, known)
        folder = find_folder(
            pretrained_model_name_or_path,
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            revision=revision,
        )
        keys = ["objective", "image_shape", "latent_dim", "likelihood", "hyperparameters"]
        config = read_config(folder, keys)
        weights = read_weights(folder)
        try:
            model = cls(**config)
        except VaelensError as error:
            raise VaelensError(f"the model in {str(folder)!r} cannot be built: {error}") from error
        load_weights(model, weights, folder)
        return model.eval()

    def _check(self, tensor: Any, shape: tuple[int, ...], what: str) -> None:
        expected = f"expected a floating-point tensor (n, {', '.join(map(str, shape))})"
        if not isinstance(tensor, Tensor):
            raise VaelensError(f"{what} of type {type(tensor).__name__}; {expected}")
        if not tensor.is_floating_point() or tensor.shape[1:] != shape:
            raise VaelensError(f"{what} are {tensor.dtype} of shape {tuple(tensor.shape)}; {expected}")


def build_model(
    name: Any,
    image_shape: Any,
    latent_dim: Any = 10,
    likelihood: Any = "bernoulli",
    seed: Any = 0,
    **hyperparameters: Any,
) -> VAE:
    """A new, untrained model.

    Args:
        name: what it is trained by, a name of the catalogue: `vae`, `beta-vae`.
        image_shape: (channels, height, width): 1 or 3 channels, square, side 8, 16, 28, 32, 64 or 128.
        latent_dim: number of latents d, 1 to 256.
        likelihood: a pixel's distribution, `bernoulli` or `gaussian` (standard deviation 1).
        seed: draws the first weights, at least 0; the global random state is not touched.
        **hyperparameters: the objective's, by name; the defaults for those left out.

    Raises:
        VaelensError: if a name is unknown or a value out of range.

    Example:
        >>> build_model("beta-vae", image_shape=(1, 64, 64), beta=4.0).hyperparameters
        {'beta': 4.0}
    """
    model = VAE(name, image_shape, latent_dim, likelihood, hyperparameters)
    model.initialise(check_seed(seed))
    return model


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Inside, the CPU's global generator starts from the seed; afterwards it is as before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the accelerators too
        yield
