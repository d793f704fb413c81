"""The lens on one model, which finds its sites, runs interventions on it, and leaves it as it was."""

import copy
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from vaelens.arguments import Progress, Seed, check_seed
from vaelens.checked_arrays import checked_array
from vaelens.errors import VaelensError
from vaelens.lens.adapters import adapted, module_of, unwrapped
from vaelens.lens.coding import Coding
from vaelens.lens.context import ContextLike
from vaelens.lens.direction import Direction, direction_at
from vaelens.lens.engine import Engine
from vaelens.lens.example import Example, ImagesLike, example_for
from vaelens.lens.interventions import Intervention
from vaelens.lens.levels import Levelled
from vaelens.lens.memory import keep_freed_memory
from vaelens.lens.model_parts import ModelParts
from vaelens.lens.naming import Name, SiteNames, checked_names
from vaelens.lens.noise import DRAWN, Noise, check_means, with_noise
from vaelens.lens.run import Run
from vaelens.lens.settings import FP32, Execution, Precision, checked_precision, checked_ways
from vaelens.lens.site_search import find_sites
from vaelens.lens.sites import LATENT, Sites
from vaelens.lens.weights import check_made, weight_of
from vaelens.models.devices import check_default_device
from vaelens.observation import Observation
from vaelens.progress import check_progress


class Lens(Coding):
    """Reads and replaces what happens inside a VAE, without changing it.

    Whatever runs, the model and the global random state are afterwards what they were before, also after an exception.
    The model runs in eval mode, without gradients. Calls from several threads wait for each other.

    Args:
        model: a vaelens `VAE`, a Pythae model, an autoencoder of diffusers (`AutoencoderKL`, `VQModel`, or another of
            images, clips or waveforms with `encode` and `decode`), a `SCVI`, `LinearSCVI` or `SCANVI` of scvi-tools,
            or any `torch.nn.Module` with `encode` and `decode`. Of one in `DataParallel`, the module inside is looked
            at.
        encode: observations (n, *shape), such as images (n, C, H, W), to the code (n, d, *positions), or to (mean,
            log-variance) of that shape; runs parts of `model`.
        decode: codes to mean observations (n, *shape); runs parts of `model`. With a codebook it is given the codes
            chosen.
        example: one or a few observations, with which the sites are found: vectors (n, features), series (n, channels,
            time), images (n, C, H, W) in [0, 1], volumes (n, channels, depth, height, width). A model that states
            their shape needs none.
        memory_mb: what the activations of one chunk may take, in MB; 256 by default, and on a CUDA GPU a quarter of
            its memory, at most 4096.
        codebook: of a latent that is quantised: the codes (K, d), a function that gives them, or a quantiser of
            vector-quantize-pytorch. The lens then quantises between `encode` and `decode`.
        quantise: embeddings (n, d, *positions) to the index of the code that each position takes, (n, *positions); the
            quantiser's own, or the nearest code, by default.
        sites: names of your own: a mapping from a name to a submodule, its dotted path in the model, a pair of either
            and a call number (0 is the first, through encode and then decode), or a site's name, which it replaces.
        precision: of sweeps: "fp32" (the model's own type), or "bf16", whose measured error stands beside each result.
        execution: how sweeps run the model: "auto" (as a graph by torch.fx or torch.export, of which only what an
            intervention changes runs again; else by hooks), "torch.fx", "torch.export" or "hooks". All agree but for
            rounding; `lens.execution` says which it is, and why.
        progress: whether to show a bar while the sites of a large model are found, or a function of (thirds done, 3).
        observation: what an observation is: its range, and the names, groups and units of its features; by default
            what the example's shape says, without a range for anything but images.
        context: what encode and decode are given besides, as encode(x, c) and decode(z, c): of the example, one row
            for each, an array (n, …) such as class labels, or a dictionary of such by name. Whatever is run then takes
            `context=`, and holds it fixed between base and intervened runs. True where `example` is the pair (x, c).
        noise: what becomes of Gaussian noise that the model draws by itself, as a hierarchical decoder does at each of
            its levels: "drawn", the same for base and intervened run; or "mean", each draw is its mean, so that a level
            is what its prior expects. What is drawn inside TorchScript or by NumPy is not seen, and refused.

    Of a known model the latent is its own: that of an `AutoencoderKL` is not multiplied by `scaling_factor`; with a
    flow it is the code before it. A quantised latent's site holds the embedding before quantisation.

    The path of a module is taken wherever a site's name is ("fc3", "decoder.up_blocks.1"), for the site whose stage the
    module belongs to; a container's stands for its last stage. Of a diffusers model the blocks are sites besides.
    A site's activation is what the stage's last nonlinearity or layer returns, be it a module, a function or a
    tensor's method. The units of attention and of recurrent layers are their channels, and the tokens or steps their
    positions. A module called twice is two sites.

    Rows that draw random numbers (dropout that stays on, a latent that the decoder samples) share their draws between
    base and counterfactual run; rows that influence one another are always run in the chunks in which `run` runs them.

    Raises:
        VaelensError: a model of unknown kind without `encode` and `decode`; parts that do not fit together, or hand
            something over that is not in the code; no example where the model states no shape; a name in use, or of
            what is no submodule, never runs, runs several times or returns no activation.

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
        encode: Callable[..., Any] | None = None,
        decode: Callable[..., Any] | None = None,
        example: ImagesLike | tuple[ImagesLike, ContextLike] | None = None,
        memory_mb: float | None = None,
        codebook: Any = None,
        quantise: Callable[[Tensor], Any] | None = None,
        sites: SiteNames | None = None,
        precision: Precision = FP32,
        execution: Execution = "auto",
        progress: Progress = True,
        observation: Observation | None = None,
        context: ContextLike | bool | None = None,
        noise: Noise = DRAWN,
    ):
        if memory_mb is not None and not (isinstance(memory_mb, int | float) and 0 < memory_mb < math.inf):
            raise VaelensError(f"memory_mb is {memory_mb}; give a positive number of megabytes")
        check_progress(progress)
        check_default_device()
        keep_freed_memory()
        self._directions, self._own, self._noise = {}, self, noise
        self._ways, self._progress = checked_ways(execution), progress
        model = unwrapped(model)
        self.module = module_of(model)
        self._adapter = adapter = adapted(model if encode is None else self.module, encode, decode, codebook, quantise)
        check_made(self.module)
        like = weight_of(self.module)  # a model without weights is refused before anything else
        self._names: list[Name] = checked_names({} if sites is None else sites)
        self._example = example_for(self.module, adapter, example, like, observation, context)
        form, kind = self._example.form, self._example.observation
        levelled = Levelled(adapter.decode)
        encode, decode = (with_noise(part, noise) for part in (adapter.encode, levelled))
        parts = ModelParts(self.module, encode, decode, adapter.quantisation, form, kind, levelled)
        self._engine = Engine(
            parts,
            self._search(parts, self._example, self._names),
            kind,
            checked_precision(precision),
            None if memory_mb is None else memory_mb * 2**20,
        )

    def name_sites(self, sites: SiteNames) -> None:
        """Names sites, as the argument `sites` does. After an error the sites are as they were.

        Raises:
            VaelensError: as of the argument; a lens along directions, which takes its sites from the one it is made of.
        """
        if self._directions:
            raise VaelensError("this lens is along directions; name sites of the lens that it was made from")
        names = [*self._names, *checked_names(sites)]
        self._engine = replace(self._engine, sites=self._search(self._engine.parts, self._example, names))
        self._names = names

    def with_precision(self, precision: Precision) -> "Lens":
        """Returns this lens with sweeps in another precision, "fp32" or "bf16"."""
        other = copy.copy(self)
        other._engine = self._engine.with_precision(precision)
        return other

    def along(self, *directions: Direction) -> "Lens":
        """Returns a lens on the same model that counts some sites' units along directions.

        The first units of such a site are the coordinates along its directions, the others those along an orthonormal
        basis of what is orthogonal to them. Whatever takes a lens then intervenes on, patches, searches and scores
        directions as it does units: `vl.discover_circuit(lens.along(direction), ds, factor)`. Along directions of the
        latent, `encode` returns coordinates and `decode` takes them.

        Args:
            directions: each of a site of its own.

        Raises:
            VaelensError: directions without a site, two of one site, or of another width than its units are many.
        """
        places = [direction_at(self.sites, direction) for direction in directions]
        names = [*self._directions, *(place.name for place, _ in places)]
        if not names or len(set(names)) < len(names):
            raise VaelensError(
                f"directions at {', '.join(names) or 'no site'}; give one Direction for a site, with all its vectors, "
                "to a lens that has none there"
            )
        other = copy.copy(self)
        bases = {place.name: basis.completed for place, basis in places}
        other._engine = replace(self._engine, parts=self._engine.parts.along(bases))
        other._directions = {**self._directions, **dict(zip(bases, directions, strict=True))}
        return other

    def run(
        self,
        x: ImagesLike,
        interventions: Intervention | Sequence[Intervention] = (),
        capture: str | Collection[str] = (),
        sample: bool = False,
        seed: Seed = 0,
        context: ContextLike | None = None,
    ) -> Run:
        """Sends images through the model with interventions, and captures activations.

        Args:
            x: observations (n, *shape), such as images in [0, 1].
            interventions: one, or several: applied in the order of the data; at one site, in the order given.
            capture: sites, or paths of modules, whose activations to keep, patterns such as "decoder.*", or "all".
            sample: use a code drawn from q(z|x) instead of its mean.
            seed: draws the posterior noise, and whatever the model draws by itself; two runs on n images with the same
                seed share it, whatever the interventions.
            context: what encoder and decoder are given besides, one row for each observation.

        Returns:
            A `Run` with code, reconstruction, captured activations, and a report for each intervention.

        Raises:
            VaelensError: observations out of range, an unknown site or unit, values that do not fit, an intervention
                that never took place, or a context that the model does not take.
        """
        images, checked_seed = self.batch(x, context), check_seed(seed)
        edits = list(interventions) if isinstance(interventions, Iterable) else [interventions]
        captured = self.sites.select(() if capture is None else capture)
        return self._engine.run_by_hooks(images, edits, captured, sample, checked_seed)

    # Inside

    def __copy__(self) -> "Lens":
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise VaelensError(
            "a lens can't be pickled or deep-copied, since its functions run the very model that it was made of; "
            "pickle or copy the model, and make a new Lens of that"
        )

    def _search(self, parts: ModelParts, example: Example, names: Sequence[Name]) -> Sites:
        rows, kind = parts.encodable(example.batch), example.observation
        known = self._adapter.example is not None
        sites = find_sites(parts, rows, kind, names, self._ways, self._progress, self._adapter.blocks, known)
        check_means(self._noise, {"encoder": parts.encoder.rows.draws, "decoder": parts.decoder.rows.draws})
        return sites.with_note(LATENT, self._adapter.latent)

    def check_images(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Returns observations as a tensor (n, *shape), in their range, that the model takes.

        Raises:
            VaelensError: they are none, are of another shape than the model takes, out of range, or no counts.
        """
        if not self.takes_any_size:
            values = self.observation.checked(x)
            if self._adapter.check is not None:
                self._adapter.check(values)
            return values
        images = checked_array(x, self.observation, None)
        if tuple(images.shape[1:]) != self.image_shape:  # the same model at another size: its sites have other shapes
            engine = self._engine
            if self._directions:
                self._own.check_images(images)
                again = self._own.along(*self._directions.values())
                self._engine, self._example = again._engine, self._own._example
                return images
            example = example_for(self.module, self._adapter, images, engine.parts.like)
            sites = self._search(engine.parts, example, self._names)
            self._example, self._engine = example, replace(engine, sites=sites, observation=example.observation)
        return images
