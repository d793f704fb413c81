"""The lens on one model: finds its sites, runs interventions on it, and leaves it as it was."""

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.arguments import check_seed
from vaelens.errors import VaelensError
from vaelens.lens.application import Application, edits_for
from vaelens.lens.execution import Edit
from vaelens.lens.images import checked_images
from vaelens.lens.interventions import Intervention
from vaelens.lens.parts import Decoded, Encoded, Parts
from vaelens.lens.run import Run
from vaelens.lens.sites import LATENT, Sites
from vaelens.models import VAE

# Rows of one chunk: more lose on a CPU, whose caches are the limit; a GPU wants to be filled.
_ROWS_CPU = 64
_ROWS_ACCELERATOR = 2048


class Lens:
    """Reads and replaces what happens inside a VAE, without changing it.

    Whatever runs, the model's weights, train/eval modes and hooks and the global random state are afterwards what
    they were before, also after an exception. The model runs in eval mode, without gradients.

    Args:
        model: a vaelens `VAE`, or any `torch.nn.Module` together with `encode` and `decode`.
        encode: images (n, C, H, W) to the code (n, d, *positions), or to (mean, log-variance) of that shape; runs
            parts of `model`.
        decode: codes to mean images (n, C, H, W); runs parts of `model`.
        example: one or a few images (n, C, H, W) in [0, 1], with which the sites are found at once instead of with
            the first images that the lens is given.
        memory_mb: what the activations of one chunk may take, in MB.

    A site's activation is what the stage's last module returns. A nonlinearity that `forward` applies as a function
    rather than a module is not seen: the site then holds the layer's output before it.

    Raises:
        VaelensError: a model of unknown kind without `encode` and `decode`; parts that do not fit together.

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
        memory_mb: float = 256.0,
    ):
        if not isinstance(model, nn.Module):
            raise VaelensError(f"a Lens looks at a torch.nn.Module; got a {type(model).__name__}")
        if (encode is None) != (decode is None):
            raise VaelensError("encode and decode belong together: give both, or neither for a vaelens VAE")
        if not memory_mb > 0:
            raise VaelensError(f"memory_mb is {memory_mb}; give a positive number of megabytes")
        if encode is None or decode is None:
            if not isinstance(model, VAE):
                raise VaelensError(
                    f"{type(model).__name__} is not a vaelens VAE; say where its encoder and decoder are: "
                    "Lens(model, encode=f, decode=g) with f(x) -> code or (mean, log-variance), g(z) -> image"
                )
            encode, decode = model.encode, model.decode
            example = torch.zeros(1, *model.image_shape) if example is None else example
        self.module = model
        self._parts = Parts(model, encode, decode)
        self._memory = memory_mb * 2**20
        self._sites: Sites | None = None
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
    def device(self) -> torch.device:
        """Where the model is."""
        return self._like().device

    @property
    def rows(self) -> int:
        """How many rows go through the model at once, within the memory budget."""
        limit = _ROWS_CPU if self.device.type == "cpu" else _ROWS_ACCELERATOR
        floats = sum(math.prod(site.shape) for site in self.sites.values()) + 4 * math.prod(self.image_shape or ())
        return max(1, min(limit, int(self._memory / (4 * floats))))

    def describe(self) -> dict[str, Any]:
        """What is under the lens, for the record beside a number: class, configuration, size, hash of the weights."""
        weights = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            weights.update(name.encode())
            weights.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        record: dict[str, Any] = {"model": type(self.module).__name__}
        if isinstance(self.module, VAE):
            record = {"model": self.module.objective, "hyperparameters": dict(self.module.hyperparameters)}
        parameters = sum(parameter.numel() for parameter in self.module.parameters())
        return {**record, "parameters": parameters, "weights_sha256": weights.hexdigest()}

    def __repr__(self) -> str:
        name = self.module.objective if isinstance(self.module, VAE) else type(self.module).__name__
        table = "sites: known after the first image" if self._sites is None else repr(self._sites)
        return f"Lens on {name}\n{table}"

    # Running it

    def posterior(self, x: Any) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance (None where the encoder gives none) of q(z|x), each (n, d, *positions)."""
        parts = [self.encode_rows(chunk) for chunk in self._chunks(self._images(x))]
        logvars = [part.logvar for part in parts if part.logvar is not None]
        return torch.cat([part.mean for part in parts]), torch.cat(logvars) if logvars else None

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
        """What scores are computed from: mu(x)."""
        return self.encode(x)

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
            capture: names of sites whose activations to keep, or "all".
            sample: use a code drawn from q(z|x) instead of its mean.
            seed: draws the posterior noise; two runs on n images with the same seed share it, whatever the
                interventions.

        Returns:
            A `Run` with code, reconstruction, captured activations, and a report for each intervention.

        Raises:
            VaelensError: images out of range, an unknown site or unit, values that do not fit, or an intervention
                that never took place.
        """
        images, seed = self._images(x), check_seed(seed)
        edits = list(interventions) if isinstance(interventions, Iterable) else [interventions]
        for edit in edits:
            if not isinstance(edit, Intervention):
                raise VaelensError(
                    f"{edit!r} is not an intervention; use vl.Set, vl.Add, vl.Scale, vl.Ablate or vl.Patch"
                )
            edit.check(self.sites[edit.site], len(images))
            edit.resolve_units(self.sites[edit.site])
        captured = self.sites.select(() if capture is None else capture)
        base_sites = {edit.site for edit in edits if edit.needs_base}
        base = self.run(images, capture=base_sites, sample=sample, seed=seed).activations if base_sites else {}
        applications = [Application(edit, self.sites[edit.site], base.get(edit.site)) for edit in edits]
        return self._apply(images, applications, captured, sample, seed)

    def encode_rows(
        self,
        images: Tensor,
        edits: Mapping[str, Edit] | None = None,
        capture: Collection[str] = (),
        seed: int = 0,
    ) -> Encoded:
        """One chunk of unchecked images through the encoder: what sweeps are made of."""
        return self._parts.encode(images, edits or {}, capture, seed)

    def decode_rows(
        self, codes: Tensor, edits: Mapping[str, Edit] | None = None, capture: Collection[str] = ()
    ) -> Decoded:
        """One chunk of unchecked codes through the decoder: what sweeps are made of."""
        return self._parts.decode(codes, edits or {}, capture)

    # Inside

    @torch.no_grad()
    def _apply(
        self,
        images: Tensor,
        applications: list[Application],
        capture: tuple[str, ...],
        sample: bool,
        seed: int,
    ) -> Run:
        noise = self._noise(len(images), seed) if sample else None
        codes, outputs, activations = [], [], {name: [] for name in capture}
        for start in range(0, len(images), self.rows):
            rows = slice(start, min(start + self.rows, len(images)))
            edits = edits_for(rows, applications)
            encoded = self.encode_rows(images[rows], *self._inside("encoder", edits, capture), seed=seed + start)
            code = encoded.mean
            if noise is not None:
                if encoded.logvar is None:
                    raise VaelensError("this encoder gives no variance, so codes can't be sampled; use sample=False")
                code = code + torch.exp(0.5 * encoded.logvar) * noise[rows].to(code)
            if LATENT in edits:
                code = edits[LATENT](code)
            decoded = self.decode_rows(code, *self._inside("decoder", edits, capture))
            codes.append(code)
            outputs.append(decoded.images)
            known = {LATENT: code, **encoded.activations, **decoded.activations}
            for name in capture:
                activations[name].append(known[name])
        return Run(
            code=torch.cat(codes),
            reconstruction=torch.cat(outputs),
            activations={name: torch.cat(chunks) for name, chunks in activations.items()},
            hits=tuple(application.report() for application in applications),
        )

    def _inside(
        self, part: str, edits: Mapping[str, Edit], capture: Collection[str]
    ) -> tuple[dict[str, Edit], list[str]]:
        names = set(self.sites.of(part))
        return {name: edit for name, edit in edits.items() if name in names}, [c for c in capture if c in names]

    def _noise(self, images: int, seed: int) -> Tensor:
        return torch.randn(images, *self.sites[LATENT].shape, generator=torch.Generator().manual_seed(seed))

    def _find_sites(self, example: Tensor) -> None:
        example = example[:2].to(self._like())  # two images are enough to tell the batch axis
        self._sites = self._parts.find_sites(example)
        self.image_shape = tuple(example.shape[1:])

    def _images(self, x: Any) -> Tensor:
        images = checked_images(x, self.image_shape)
        if self._sites is None:
            self._find_sites(images)
        return images.to(self._like())

    def _codes(self, z: Any) -> Tensor:
        try:
            codes = torch.as_tensor(z)
        except (TypeError, ValueError, RuntimeError) as error:
            raise VaelensError(f"codes are a {type(z).__name__}, expected a tensor or array (n, d)") from error
        shape = None if self._sites is None else self.sites[LATENT].shape
        if codes.ndim < 2 or len(codes) == 0 or (shape is not None and tuple(codes.shape[1:]) != shape):
            expected = "(n, d)" if shape is None else str(("n", *shape)).replace("'", "")
            raise VaelensError(f"codes have shape {tuple(codes.shape)}, expected {expected} with n of at least 1")
        if not torch.isfinite(codes).all():
            raise VaelensError("codes contain NaN or infinite values; give finite numbers")
        return codes.to(self._like())

    def _chunks(self, rows: Tensor) -> Iterator[Tensor]:
        yield from rows.split(self.rows if self._sites is not None else _ROWS_CPU)

    def _like(self) -> Tensor:
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            if tensor.is_floating_point():
                return tensor
        raise VaelensError(f"{type(self.module).__name__} has no parameters; a lens needs a model with weights")
