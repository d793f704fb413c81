"""The variational autoencoder: encoder, Gaussian posterior or codebook, decoder, likelihood, its objective's name.

It knows how to save and load itself, and nothing of how it is trained.
"""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.models import backbone, posterior
from vaelens.models.catalogue import find_objective
from vaelens.models.likelihoods import find_likelihood
from vaelens.models.model_folder import (
    MODEL_CARD,
    check_one_type,
    find_folder,
    load_weights,
    read_config,
    read_weights,
    write_weights,
)
from vaelens.models.own_modules import (
    STANDARD,
    check_any_image_shape,
    check_modules,
    check_parts,
    match_modules,
    name_of,
    split_moments,
)
from vaelens.models.parts import check_tensor, standard_parts
from vaelens.models.quantiser import Quantised
from vaelens.models.randomness import own_randomness
from vaelens.paths import user_path
from vaelens.version import __version__
from vaelens.writing import sole_writer, written_whole

MAX_LATENT_DIM = 256


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
        image_shape: (channels, height, width): 1 or 3 channels, square, side 8, 16, 28, 32, 64 or 128; with encoder
            and decoder of your own, any.
        latent_dim: number of latents d, 1 to 256; for `vq-vae` the dimensions of a code. None: the objective's own.
        likelihood: a pixel's distribution, `bernoulli` or `gaussian` (standard deviation 1).
        hyperparameters: the objective's, by name; the defaults for those left out.
        encoder: a module of your own, images `(n, c, h, w)` to posterior means and log-variances: `(n, 2 d)`, or a
            pair of `(n, d)`; for `vq-vae` to embeddings `(n, d, height, width)`.
        decoder: a module of your own, codes to the likelihood's parameters `(n, c, h, w)`, before any sigmoid.

    Attributes:
        quantiser: the codebook of a `vq-vae`, None for the others.
        code_shape: the shape of one image's code, `(d,)`, or `(d, height, width)` with a codebook.

    Raises:
        VaelensError: if a name is unknown, a value out of range, or a module of your own does not fit.

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
        latent_dim: Any = None,
        likelihood: Any = "bernoulli",
        hyperparameters: Any = None,
        encoder: Any = None,
        decoder: Any = None,
    ) -> None:
        super().__init__()
        found = find_objective(objective)
        self.objective: str = found.name
        self.hyperparameters = found.resolve(hyperparameters)
        check_modules(encoder, decoder)
        own = encoder is not None and decoder is not None
        self.image_shape = check_any_image_shape(image_shape) if own else backbone.check_image_shape(image_shape)
        latent_dim = found.latent_dim if latent_dim is None else latent_dim
        self.latent_dim = whole_number("latent_dim", latent_dim, 1, MAX_LATENT_DIM)
        self.likelihood: str = find_likelihood(likelihood).name
        self.modules_from = {"encoder": name_of(encoder), "decoder": name_of(decoder)}
        with own_randomness(0):
            drawn = self._standard_parts()
        self.encoder: nn.Module = drawn["encoder"] if encoder is None else encoder
        self.quantiser: nn.Module | None = drawn.get("quantiser")
        self.decoder: nn.Module = drawn["decoder"] if decoder is None else decoder
        self.mean = find_likelihood(likelihood).mean()
        self.code_shape: tuple[int, ...] = check_parts(
            self.encoder, self.decoder, self.image_shape, self.latent_dim, found.quantised
        )
        # what the mixin writes to config.json: with the defaults filled in, so that it says all
        self._hub_mixin_config = {**self.config, "vaelens_version": __version__}

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, complete, as JSON holds them; of your own modules the names of their classes."""
        return {
            "objective": self.objective,
            "image_shape": list(self.image_shape),
            "latent_dim": self.latent_dim,
            "likelihood": self.likelihood,
            "hyperparameters": dict(self.hyperparameters),
            **self.modules_from,
        }

    def extra_repr(self) -> str:
        """The config, at the head of what `print(model)` shows."""
        return ", ".join(f"{name}={value!r}" for name, value in self.config.items())

    def encode(self, x: Any) -> tuple[Tensor, Tensor | None]:
        """The posterior's parameters, or the embeddings before quantisation.

        Args:
            x: images `(n, c, h, w)`, in [0, 1].

        Returns:
            mu `(n, d)`, the code, and logvar `(n, d)`, the log-variance; with a codebook the embeddings
            `(n, d, height, width)`, and None.

        Raises:
            VaelensError: if the images' shape or type is not the model's.
        """
        self._check(x, self.image_shape, "images", "encoder")
        output = self.encoder(x)
        return (output, None) if self.quantiser is not None else split_moments(output, self.latent_dim)

    def quantise(self, z: Any, generator: torch.Generator | None = None) -> Quantised:
        """The nearest code of the codebook at each position.

        Args:
            z: embeddings `(n, d, height, width)`.
            generator: in training, draws what dead codes are replaced by.

        Raises:
            VaelensError: if the model has no codebook, or the embeddings' shape or type is not the model's.
        """
        if self.quantiser is None:
            raise VaelensError(f"a {self.objective} has no codebook to quantise with; a vq-vae has one")
        self._check(z, self.code_shape, "codes")
        return self.quantiser(z, generator)

    def logits(self, z: Any) -> Tensor:
        """The decoder's output as it is, before the likelihood's mean: `(n, c, h, w)`, any real number.

        Args:
            z: codes `(n, d)`; with a codebook embeddings `(n, d, height, width)`, which are quantised first.

        Raises:
            VaelensError: if the codes' shape or type is not the model's.
        """
        self._check(z, self.code_shape, "codes", "decoder")
        return self.decoder(z if self.quantiser is None else self.quantise(z).embedding)

    def decode(self, z: Any) -> Tensor:
        """The mean image D(z), `(n, c, h, w)`: in [0, 1] for a Bernoulli likelihood, any real for a Gaussian.

        Args:
            z: codes `(n, d)`; with a codebook embeddings `(n, d, height, width)`, which are quantised first.

        Raises:
            VaelensError: if the codes' shape or type is not the model's.
        """
        return self.mean(self.logits(z))

    def forward(self, x: Any, generator: torch.Generator | None = None) -> Tensor:
        """The reconstruction `(n, c, h, w)`: of the code, or of a sample of the posterior if a generator is given.

        Args:
            x: images `(n, c, h, w)`, in [0, 1].
            generator: what the sample is drawn with.

        Raises:
            VaelensError: if the images' shape or type is not the model's, or there is no posterior to draw from.
        """
        mu, logvar = self.encode(x)
        if generator is None:
            return self.decode(mu)
        if logvar is None:
            raise VaelensError(f"a {self.objective} has no posterior to draw from; leave the generator out")
        return self.decode(posterior.sample(mu, logvar, generator))

    def _standard_parts(self) -> dict[str, nn.Module]:
        objective, hyperparameters = find_objective(self.objective), self.hyperparameters
        return standard_parts(objective, self.image_shape, self.latent_dim, hyperparameters, self.modules_from)

    def initialise(self, seed: int) -> None:
        """Draws new weights, PyTorch's default distribution for each layer, without the global random state.

        Modules of your own keep theirs.
        """
        with own_randomness(seed):
            drawn = self._standard_parts()
        for name, part in drawn.items():
            self.get_submodule(name).load_state_dict(part.state_dict())

    def save_pretrained(self, save_directory: Any, push_to_hub: bool = False, **options: Any) -> str | None:
        """Writes `config.json`, `model.safetensors` and a short model card into the folder.

        A model that is there is replaced once the new one is whole; a README.md that is there stays.

        Args:
            save_directory: the folder; made where there is none.
            push_to_hub: whether to send it to the Hugging Face Hub too.
            **options: those of `huggingface_hub.PyTorchModelHubMixin.save_pretrained`.

        Raises:
            VaelensError: if there is a file of that name, the folder cannot be written, or another process is at it.
        """
        folder = user_path("save_directory", save_directory)
        if folder.is_file():
            raise VaelensError(f"{str(folder)!r} is a file; give a folder to save the model in")
        written = {name: options[name] for name in ("config", "model_card_kwargs") if name in options}
        with sole_writer(folder), written_whole(folder, kept=("README.md",)) as unfinished:
            super().save_pretrained(unfinished, **written)
        if not push_to_hub:
            return None
        return self.push_to_hub(options.pop("repo_id", None) or folder.name, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        """What the mixin calls to write the weights: its own leaves out what encoder and decoder share."""
        write_weights(save_directory, self.state_dict(), self.config)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        *,
        encoder: Any = None,
        decoder: Any = None,
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
            encoder: the module of your own that the model was built with, if it was; its weights are loaded into it.
            decoder: likewise.
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
            known = ["encoder", "decoder", "force_download", "token", "cache_dir", "local_files_only", "revision"]
            raise unknown("argument of from_pretrained", name, known)
        folder = find_folder(
            pretrained_model_name_or_path,
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            revision=revision,
        )
        keys = ["objective", "image_shape", "latent_dim", "likelihood", "hyperparameters", "encoder", "decoder"]
        config = read_config(folder, keys)
        modules = match_modules(config, {"encoder": encoder, "decoder": decoder}, folder)
        weights, saved_with = read_weights(folder)
        try:
            model = cls(**(config | modules))
        except VaelensError as error:
            raise VaelensError(f"the model in {str(folder)!r} cannot be built: {error}") from error
        if encoder is None and decoder is None:
            check_one_type(weights, folder)
        load_weights(model, weights, folder)
        if saved_with not in (None, config):
            raise VaelensError(
                f"config.json and model.safetensors in {str(folder)!r} are not of one saving, or one was edited; save "
                "the model again"
            )
        return model.eval()

    def _check(self, tensor: Any, shape: tuple[int, ...], what: str, part: str | None = None) -> None:
        """Refuses what the part does not take; a module of the user's own may take any precision."""
        standard = part if part is not None and self.modules_from[part] == STANDARD else None
        dtype = None if standard is None else next(self.get_submodule(standard).parameters()).dtype
        check_tensor(tensor, shape, what, dtype)
