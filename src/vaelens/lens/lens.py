"""The lens on one model: finds its sites, runs interventions on it, and leaves it as it was."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.arguments import check_seed
from vaelens.errors import VaelensError
from vaelens.lens.adapters import adapted, unwrapped
from vaelens.lens.budget import ROWS_CPU
from vaelens.lens.codes import checked_codes
from vaelens.lens.description import describe, name_of
from vaelens.lens.forward import forward
from vaelens.lens.images import check_channels, checked_images
from vaelens.lens.memory import keep_freed_memory
from vaelens.lens.naming import Name, checked_names
from vaelens.lens.parts import Parts
from vaelens.lens.run import Run
from vaelens.lens.settings import FP32, checked_precision, checked_ways
from vaelens.lens.sites import LATENT, Sites
from vaelens.lens.sweepable import Sweepable
from vaelens.models.quantiser import Quantised
from vaelens.progress import check_progress


class Lens(Sweepable):
    """Reads and replaces what happens inside a VAE, without changing it.

    Whatever runs, the model's weights, train/eval modes and hooks and the global random state are afterwards what
    they were before, also after an exception. The model runs in eval mode, without gradients.

    Args:
        model: a vaelens `VAE`, a Pythae model, a diffusers `AutoencoderKL` or `VQModel`, or any `torch.nn.Module`
            together with `encode` and `decode`. Of one in `DataParallel`, the module inside is looked at.
        encode: images (n, C, H, W) to the code (n, d, *positions), or to (mean, log-variance) of that shape; runs
            parts of `model`.
        decode: codes to mean images (n, C, H, W); runs parts of `model`. With a codebook it is given the codes chosen.
        example: one or a few images (n, C, H, W) in [0, 1], with which the sites are found at once instead of with
            the first images that the lens is given.
        memory_mb: what the activations of one chunk may take, in MB; 256 by default, and on a CUDA GPU a quarter of
            its memory, at most 4096.
        codebook: of a latent that is quantised: the codes (K, d), or a function that gives them. The lens then
            quantises between `encode` and `decode`.
        quantise: embeddings (n, d, *positions) to the index of the code that each position takes, (n, *positions); the
            nearest code by default.
        sites: names of your own: a mapping from a name to a submodule, its dotted path in the model, a pair of either
            and a call number (0 is the first, through encode and then decode), or a found site's name, which it
            replaces. A text that is both a site's name and a path is the site's.
        precision: what sweeps compute in: "fp32" (the model's own type), or "bf16", whose measured error stands beside
            each result.
        execution: how sweeps run the model: "auto" (as a graph by torch.fx or torch.export, of which only what an
            intervention changes runs again; else by hooks), "torch.fx", "torch.export" or "hooks". All agree but for
            rounding; `lens.execution` says which it is, and why.
        progress: while the sites of a large model are found, whether to show a bar on standard error, or a function of
            (thirds done, 3).

    Of a known model images are in [0, 1] whatever it takes inside, and the latent is its own: that of an
    `AutoencoderKL` is not multiplied by `scaling_factor`; with a flow it is the code before it, which `decode` runs.

    A quantised latent's site holds the embedding before quantisation; whatever is decoded is quantised first, in a way
    that does not depend on the chunk (the nearest code in float64, where the model may take float32: the two differ
    only where two codes are as near to within the model's rounding).

    A site's activation is what the stage's last module returns. A nonlinearity that `forward` applies as a function
    rather than a module is not seen: the site then holds the layer's output before it. The units of attention and of
    recurrent layers are their channels, and the tokens or steps their positions. A module called twice is two sites.

    Raises:
        VaelensError: a model of unknown kind without `encode` and `decode`, or one that cannot be taken apart; parts
            that do not fit together; a name in use, or of what is no submodule, never runs, runs several times or
            gives no activation.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=4))
        >>> run = lens.run(torch.rand(2, 1, 32, 32), [vl.Set("latent", 0, 2.0)], capture=["decoder.1"])
        >>> run.code[:, 0].tolist(), tuple(run.activations["decoder.1"].shape)
        ([2.0, 2.0], (2, 64, 4, 4))
    """

    def __init__(
        self,
        model: Any,
        encode: Callable[[Tensor], Any] | None = None,
        decode: Callable[[Tensor], Any] | None = None,
        example: Any = None,
        memory_mb: float | None = None,
        codebook: Any = None,
        quantise: Callable[[Tensor], Any] | None = None,
        sites: Any = None,
        precision: Any = FP32,
        execution: Any = "auto",
        progress: Any = True,
    ):
        if not isinstance(model, nn.Module):
            raise VaelensError(f"a Lens looks at a torch.nn.Module; got a {type(model).__name__}")
        if memory_mb is not None and not memory_mb > 0:
            raise VaelensError(f"memory_mb is {memory_mb}; give a positive number of megabytes")
        check_progress(progress)
        keep_freed_memory()
        ways, precision = checked_ways(execution), checked_precision(precision)
        self.module = unwrapped(model)
        known = adapted(self.module, encode, decode, codebook, quantise)
        example = known.example if example is None else example
        self._parts = Parts(self.module, known.encode, known.decode, known.quantisation)
        self._channels = known.channels
        self._memory = None if memory_mb is None else memory_mb * 2**20
        self._precision = precision
        self._ways, self._progress = ways, progress
        self._sites: Sites | None = None
        self._example: Tensor | None = None
        self._names: list[Name] = checked_names({} if sites is None else sites)
        self.image_shape: tuple[int, ...] | None = None
        if example is not None:
            self._find_sites(checked_images(example))

    # What the model is

    @property
    def sites(self) -> Sites:
        """The sites in the order of the data: an ordered mapping from name to `Site`.

        Raises:
            VaelensError: no image has been seen yet, so nothing is known.
        """
        if self._sites is None:
            raise VaelensError(
                "this lens has seen no image yet, so it knows no sites; give it one with Lens(..., example=images)"
            )
        return self._sites

    @property
    def latents(self) -> int:
        """The number of latent units d."""
        return self.sites[LATENT].units

    @property
    def quantised(self) -> bool:
        """Whether codes are quantised before they are decoded."""
        return self._parts.quantisation is not None

    @property
    def codebook(self) -> Tensor | None:
        """The codes of a quantised latent, (K, d); None for any other."""
        return None if self._parts.quantisation is None else self._parts.quantisation.codebook

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._parts.like.device

    @property
    def execution(self) -> dict[str, str]:
        """How sweeps run each part: "torch.fx" or "torch.export" where only what an intervention changes runs again.

        "forward hooks" where all of the part does, with the reason.
        """
        return {"encoder": self._parts.encoder.described, "decoder": self._parts.decoder.described}

    def name_sites(self, sites: Any) -> None:
        """Name sites, as the argument `sites` does; before the first image, they are resolved when it comes.

        Raises:
            VaelensError: see `Lens`; the sites are then as they were.
        """
        names = [*self._names, *checked_names(sites)]
        if self._example is not None:
            self._sites = self._parts.find_sites(self._example, names, self._ways, self._progress)
        self._names = names

    def describe(self) -> dict[str, Any]:
        """What is under the lens, for the record beside a number: class, configuration, size, hash of the weights.

        `latent` says "continuous" or "quantised", and `codes` how many there are of a quantised one.
        """
        return describe(self.module, None if self.codebook is None else len(self.codebook))

    def __repr__(self) -> str:
        codes = "" if self.codebook is None else f", quantised by {len(self.codebook)} codes"
        head = f"Lens on {name_of(self.module)}{codes}"
        if self._sites is None:
            return f"{head}\nsites: known after the first image"
        ways = "\n".join(f"sweeps run the {part} by {way}" for part, way in self.execution.items())
        return f"{head}\n{self._sites!r}\n{ways}"

    # Running it

    def posterior(self, x: Any) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance (None where the encoder gives none) of q(z|x), each (n, d, *positions)."""
        images = self._images(x)
        return self.posterior_of(self._chunks(images), len(images))

    def encode(self, x: Any) -> Tensor:
        """The code z = mu(x), (n, d, *positions), of images in [0, 1]."""
        return self.posterior(x)[0]

    def decode(self, z: Any) -> Tensor:
        """The mean images D(z), (n, C, H, W), of codes (n, d, *positions)."""
        codes = self._codes(z)
        return torch.cat([self.decode_rows(chunk).images for chunk in self._chunks(codes)])

    def reconstruct(self, x: Any) -> Tensor:
        """D(mu(x)), (n, C, H, W)."""
        return self.decode(self.encode(x))

    def representation(self, x: Any) -> Tensor:
        """What scores are computed from: mu(x); for a quantised latent the mean of its codes over positions, (n, d).

        A latent with positions that is not quantised keeps them, (n, d, *positions); scores of disentanglement take
        the mean over them.
        """
        code = self.encode(x)
        if not self.quantised:
            return code
        chosen = self.quantise(code).embedding
        return chosen.flatten(2).mean(dim=2) if chosen.ndim > 2 else chosen

    def quantise(self, z: Any) -> Quantised:
        """The codes that embeddings (n, d, *positions) take: `embedding`, of the same shape, and `indices`.

        Raises:
            VaelensError: a latent that is not quantised, embeddings that do not fit it.
        """
        if not self.quantised:
            raise self._continuous()
        chosen = [self._parts.quantise(chunk) for chunk in self._chunks(self._codes(z))]
        return Quantised(torch.cat([one.embedding for one in chosen]), torch.cat([one.indices for one in chosen]))

    def code_indices(self, x: Any) -> Tensor:
        """Which code each position takes, int64 (n, *positions), 0 to K − 1.

        Raises:
            VaelensError: a latent that is not quantised, images out of range.
        """
        if not self.quantised:
            raise self._continuous()
        return self.quantise(self.encode(x)).indices

    def run(
        self,
        x: Any,
        interventions: Any = (),
        capture: str | Collection[str] = (),
        sample: bool = False,
        seed: Any = 0,
    ) -> Run:
        """Send images through the model with interventions, and capture activations.

        Args:
            x: images (n, C, H, W) in [0, 1].
            interventions: one, or several: applied in the order of the data; at one site, in the order given.
            capture: names of sites whose activations to keep, patterns such as "decoder.*", or "all".
            sample: use a code drawn from q(z|x) instead of its mean.
            seed: draws the posterior noise; two runs on n images with the same seed share it, whatever the
                interventions.

        Returns:
            A `Run` with code, reconstruction, captured activations, and a report for each intervention.

        Raises:
            VaelensError: images out of range, an unknown site or unit, values that do not fit, or an intervention
                that never took place.
        """
        images, seed = self._images(x).to(self._parts.like), check_seed(seed)
        edits = list(interventions) if isinstance(interventions, Iterable) else [interventions]
        applications = self._applications(images, edits, sample, seed)
        captured = self.sites.select(() if capture is None else capture)
        return forward(self._parts, self.sites, images, self.rows, applications, captured, sample, seed)

    # Inside

    def _continuous(self) -> VaelensError:
        return VaelensError(
            f"the latent of this {name_of(self.module)} is continuous, so no position of it takes a code; a quantised "
            "one, such as a vq-vae's, has codes"
        )

    def _find_sites(self, example: Tensor) -> None:
        if self._channels is not None:
            check_channels(example, self._channels, name_of(self.module))
        example = example[:2].to(self._parts.like)  # two images are enough to tell the batch axis
        self._sites = self._parts.find_sites(example, self._names, self._ways, self._progress)
        self._example, self.image_shape = example, tuple(example.shape[1:])

    def _images(self, x: Any) -> Tensor:
        images = checked_images(x, self.image_shape)
        if self._sites is None:
            self._find_sites(images)
        return images

    def _codes(self, z: Any) -> Tensor:
        return checked_codes(z, None if self._sites is None else self.sites[LATENT].shape).to(self._parts.like)

    def _chunks(self, rows: Tensor) -> Iterator[Tensor]:
        yield from rows.split(self.rows if self._sites is not None else ROWS_CPU)
