"""The variational autoencoder, of encoder, Gaussian posterior or codebook, decoder, likelihood and objective.

It knows how to save and load itself, and nothing of how it is trained.
"""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.models import backbone, model_folder, own_modules, posterior
from vaelens.models.annotations import (
    Batch,
    Count,
    Folder,
    ImageShape,
    LikelihoodName,
    ObjectiveName,
    OwnModule,
    Values,
)
from vaelens.models.catalogue import find_objective
from vaelens.models.likelihoods import described, find_likelihood, observation_of, usual_likelihood
from vaelens.models.model_folder import MODEL_CARD
from vaelens.models.own_modules import STANDARD
from vaelens.models.parts import check_tensor, standard_parts
from vaelens.models.quantiser import Quantised
from vaelens.models.randomness import own_randomness
from vaelens.models.training_record import TrainingRecord
from vaelens.observation_record import recorded
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
    """A variational autoencoder of images, vectors, series or volumes.

    Its first weights are drawn as by `build_model(seed=0)`; neither draws from the global random state.

    Args:
        objective: what it is trained by, a name of the catalogue.
        image_shape: (channels, height, width): 1 or 3 channels, square, side 8, 16, 28, 32, 64 or 128; (features,) of
            vectors, (channels, time) of series, (channels, depth, height, width) of volumes; any with your own modules.
            Or an `Observation`, such as a dataset's, whose names and unit the model then keeps.
        latent_dim: number of latents d, 1 to 256; for `vq-vae` the dimensions of a code. None: the objective's own.
        likelihood: a value's distribution, see `build_model`; None for the usual one of such data.
        hyperparameters: the objective's, by name; the defaults for those left out.
        encoder: a module of your own, images `(n, c, h, w)` to posterior means and log-variances: `(n, 2 d)`, or a
            pair of `(n, d)`; for `vq-vae` to embeddings `(n, d, height, width)`.
        decoder: a module of your own, codes to the likelihood's parameters `(n, c, h, w)`, before any sigmoid.

    Attributes:
        quantiser: the codebook of a `vq-vae`, None for the others.
        code_shape: the shape of one image's code, `(d,)`, or `(d, height, width)` with a codebook.
        training_records: how it was trained, a record for each run; None for one that is not known in full.

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
        objective: ObjectiveName = "vae",
        image_shape: ImageShape = (1, 64, 64),
        latent_dim: Count | None = None,
        likelihood: LikelihoodName | None = None,
        hyperparameters: Values = None,
        encoder: OwnModule = None,
        decoder: OwnModule = None,
    ) -> None:
        super().__init__()
        line = find_objective(objective)
        self.objective: str = line.name
        self.hyperparameters = line.resolve(hyperparameters)
        own_modules.check_modules(encoder, decoder)
        own = encoder is not None and decoder is not None
        check = own_modules.check_any_image_shape if own else backbone.check_image_shape
        kind, self._stated = described(image_shape, check)
        if line.quantised and len(kind.shape) == 1:
            raise VaelensError(f"a {line.name} has a grid of codes, which vectors have not; give an image's shape")
        latent_dim = line.latent_dim if latent_dim is None else latent_dim
        self.latent_dim = whole_number("latent_dim", latent_dim, 1, MAX_LATENT_DIM)
        self.likelihood: str = find_likelihood(usual_likelihood(kind) if likelihood is None else likelihood).name
        self.observation = observation_of(kind, self.likelihood)
        self.modules_from = {"encoder": own_modules.name_of(encoder), "decoder": own_modules.name_of(decoder)}
        parts = self._new_parts(seed=0)
        self.encoder: nn.Module = parts["encoder"] if encoder is None else encoder
        self.quantiser: nn.Module | None = parts.get("quantiser")
        self.decoder: nn.Module = parts["decoder"] if decoder is None else decoder
        self.mean = find_likelihood(self.likelihood).mean(self.observation)
        self.code_shape: tuple[int, ...] = own_modules.check_parts(
            self.encoder, self.decoder, self.image_shape, self.latent_dim, line.quantised
        )
        self.training_records: tuple[TrainingRecord | None, ...] = ()
        # what the mixin writes to config.json
        self._hub_mixin_config = {**self.config, "vaelens_version": __version__}

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return self.observation.shape

    @property
    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON holds them, with the names of your own modules' classes."""
        return {
            "objective": self.objective,
            "image_shape": list(self.image_shape),
            "latent_dim": self.latent_dim,
            "likelihood": self.likelihood,
            "hyperparameters": dict(self.hyperparameters),
            **self.modules_from,
            **({"observation": recorded(self.observation)} if self._stated else {}),
        }

    def extra_repr(self) -> str:
        """Puts the config at the head of `print(model)`."""
        return ", ".join(f"{name}={value!r}" for name, value in self.config.items() if name != "observation")

    def encode(self, x: Batch) -> tuple[Tensor, Tensor | None]:
        """Encodes images `(n, c, h, w)` as the posterior's parameters, or as embeddings before quantisation.

        Returns:
            mu, the code, and logvar, each `(n, d)`; with a codebook the embeddings `(n, d, height, width)`, and None.

        Raises:
            VaelensError: if the images' shape or type is not the model's.
        """
        self._check(x, self.observation.shape, self.observation.noun, "encoder")
        output = self.encoder(x)
        return (output, None) if self.quantiser is not None else own_modules.split_moments(output, self.latent_dim)

    def quantise(self, z: Batch, generator: torch.Generator | None = None) -> Quantised:
        """Replaces the embedding `(n, d, height, width)` at each position by the nearest code of the codebook.

        Args:
            z: embeddings.
            generator: in training, draws what dead codes are replaced by.

        Raises:
            VaelensError: if the model has no codebook, or the embeddings' shape or type is not the model's.
        """
        if self.quantiser is None:
            raise VaelensError(f"a {self.objective} has no codebook to quantise with; a vq-vae has one")
        self._check(z, self.code_shape, "codes")
        return self.quantiser(z, generator)

    def logits(self, z: Batch) -> Tensor:
        """Decodes codes `(n, d)` to the decoder's output before the likelihood's mean, `(n, *shape)`, any real number.

        With a codebook it takes embeddings `(n, d, height, width)`, which are quantised first.

        Raises:
            VaelensError: if the codes' shape or type is not the model's.
        """
        self._check(z, self.code_shape, "codes", "decoder")
        return self.decoder(z if self.quantiser is None else self.quantise(z).embedding)

    def negative_log_likelihood(self, logits: Tensor, x: Tensor) -> Tensor:
        """Computes −log p(x|z) of each observation `(n,)` in nats, from what `logits` returns."""
        likelihood = find_likelihood(self.likelihood)
        return likelihood.negative_log_likelihood(logits, x, **likelihood.parameters(self.mean))

    def decode(self, z: Batch) -> Tensor:
        """Decodes to the mean D(z), `(n, *shape)`, for a Bernoulli likelihood in [0, 1], of counts log-normalised.

        Raises:
            VaelensError: as `logits`, which takes the same codes.
        """
        return self.mean(self.logits(z))

    def forward(self, x: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Reconstructs images `(n, c, h, w)` from the code, or from a sample of the posterior if a generator is given.

        Raises:
            VaelensError: if the images' shape or type is not the model's, or there is no posterior to draw from.
        """
        mu, logvar = self.encode(x)
        if generator is None:
            return self.decode(mu)
        if logvar is None:
            raise VaelensError(f"a {self.objective} has no posterior to draw from; leave the generator out")
        return self.decode(posterior.sample(mu, logvar, generator))

    def _new_parts(self, seed: int) -> dict[str, nn.Module]:
        line, counts = find_objective(self.objective), find_likelihood(self.likelihood).counts
        with own_randomness(seed):
            settings = self.image_shape, self.latent_dim, self.hyperparameters, self.modules_from, counts
            return standard_parts(line, *settings)

    def initialise(self, seed: int) -> None:
        """Samples new weights from PyTorch's default distribution for each layer. Modules of your own keep theirs."""
        for name, part in self._new_parts(seed).items():
            self.get_submodule(name).load_state_dict(part.state_dict())

    def save_pretrained(self, save_directory: Folder, push_to_hub: bool = False, **options: Any) -> str | None:
        """Writes `config.json`, `model.safetensors` and a short model card into the folder.

        A model that is there is replaced once the new one is whole, but for a README.md.

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
        return self.push_to_hub(options.pop("repo_id", None) or folder.name, **options) if push_to_hub else None

    def _save_pretrained(self, save_directory: Path) -> None:
        """Writes the weights when the mixin asks, whose own way leaves out what encoder and decoder share."""
        model_folder.write_weights(save_directory, self.state_dict(), self.config)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Folder,
        *,
        encoder: OwnModule = None,
        decoder: OwnModule = None,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **model_kwargs: Any,
    ) -> "VAE":
        """Loads a saved model with every bit of its weights, on the CPU, in eval mode.

        Args:
            pretrained_model_name_or_path: the folder; or a model on the Hugging Face Hub, as `hf://owner/name` alone.
            encoder: the module of your own that the model was built with, if it was. Its weights are loaded into it.
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
            names = ["encoder", "decoder", "force_download", "token", "cache_dir", "local_files_only", "revision"]
            raise unknown("argument of from_pretrained", name, names)
        folder = model_folder.find_folder(
            pretrained_model_name_or_path,
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            revision=revision,
        )
        keys = ["objective", "image_shape", "latent_dim", "likelihood", "hyperparameters", "encoder", "decoder"]
        config = model_folder.read_config(folder, keys, optional=["observation"])
        modules = own_modules.match_modules(config, {"encoder": encoder, "decoder": decoder}, folder)
        weights, saved_with = model_folder.read_weights(folder)
        try:
            model = cls(**(model_folder.arguments_of(config) | modules))
        except VaelensError as error:
            raise VaelensError(f"the model in {str(folder)!r} cannot be built: {error}") from error
        if encoder is None and decoder is None:
            model_folder.check_one_type(weights, folder)
        model_folder.load_weights(model, weights, folder)
        model_folder.check_one_saving(config, saved_with, folder)
        model.training_records = (TrainingRecord.read(folder),)
        return model.eval()

    def _check(self, tensor: Any, shape: tuple[int, ...], what: str, part: str | None = None) -> None:
        """Refuses what the part does not take. A module of the user's own may take any precision."""
        standard = getattr(self, part) if part is not None and self.modules_from[part] == STANDARD else None
        check_tensor(tensor, shape, what, None if standard is None else next(standard.parameters()).dtype)
