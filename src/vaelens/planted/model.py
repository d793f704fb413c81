"""The planted model, a VAE whose weights are set by hand and that saves and loads like any other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from vaelens.arguments import check_seed, whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.models import VAE, model_folder
from vaelens.models.annotations import Batch, Folder
from vaelens.models.model_folder import MODEL_CARD
from vaelens.planted.draft import Draft
from vaelens.planted.kinds import KINDS
from vaelens.planted.network import SIDE, build, lattices
from vaelens.planted.wiring import Wiring

SHALLOWEST, DEEPEST = 2, 4  # an image of 16×16 can be halved four times


@dataclass(frozen=True, eq=False)
class Plan:
    """What a planted model is built from, the same whenever it is made from the same arguments.

    Attributes:
        draft: with the units' names and the factors of whose circuits they are.
        wiring: the draft, shuffled.
        lattices: which lattice each pixel is of, (side, side).
        encoder: the wiring as a network.
        decoder: likewise.
    """

    draft: Draft
    wiring: Wiring
    lattices: np.ndarray
    encoder: nn.Sequential
    decoder: nn.Sequential


def plan(kind: Any, depth: Any, convolutional: Any, seed: Any) -> Plan:
    """Makes the plan of a planted model, whose arguments are checked here.

    Raises:
        VaelensError: an unknown kind, a depth or a seed out of range, or `convolutional` neither True nor False.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown("kind of planted model", kind, KINDS)
    checked_depth = whole_number("depth", depth, SHALLOWEST, DEEPEST)
    if not isinstance(convolutional, bool):
        raise VaelensError(f"convolutional is {convolutional!r}; expected True or False")
    rng = np.random.default_rng(check_seed(seed))
    draft = Draft(checked_depth)
    KINDS[kind].fill(draft)
    wiring = draft.wiring(rng)
    shown = lattices(convolutional, rng)
    return Plan(draft, wiring, shown, *build(wiring, shown, convolutional, draft.dead_latents))


class PlantedVAE(
    VAE, model_card_template=MODEL_CARD.replace("vl.VAE", "vl.PlantedVAE"), library_name="vaelens", tags=["benchmark"]
):
    """A VAE of 16×16 images whose weights are set by hand, as `planted_model` explains.

    Args:
        kind: what it is wired to do.
        depth: the number of hidden sites of the encoder, and of the decoder, 2 to 4.
        convolutional: whether of convolutions 2×2 with stride 2, or of dense layers.
        seed: shuffles units, pixels and scales.

    Raises:
        VaelensError: an unknown kind, a depth or a seed out of range, or `convolutional` neither True nor False.
    """

    def __init__(self, kind: str = "aligned", depth: int = 3, convolutional: bool = False, seed: int = 0) -> None:
        parts = plan(kind, depth, convolutional, seed)
        self.arguments = {"kind": kind, "depth": int(depth), "convolutional": convolutional, "seed": int(seed)}
        super().__init__(
            "vae",
            image_shape=(1, SIDE, SIDE),
            latent_dim=parts.wiring.latents,
            likelihood="gaussian",
            encoder=parts.encoder,
            decoder=parts.decoder,
        )
        self.eval()

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON holds them."""
        return dict(self.arguments)

    def encode(self, x: Batch) -> tuple[Tensor, Tensor]:
        """Encodes images as in `VAE.encode`, without questions about shapes, so that the parts can be traced."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path: Folder, **hub_options: Any
    ) -> "PlantedVAE":
        """Loads a saved planted model with every bit of its weights, on the CPU, in eval mode.

        Args:
            pretrained_model_name_or_path: the folder, or `hf://owner/name` for a model on the Hugging Face Hub.
            **hub_options: those of `huggingface_hub.snapshot_download`.

        Raises:
            VaelensError: if the folder or a file in it is missing or damaged, or it holds no planted model.
        """
        folder = model_folder.find_folder(pretrained_model_name_or_path, **hub_options)
        config = model_folder.read_config(folder, ["kind", "depth", "convolutional", "seed"])
        weights, saved_with = model_folder.read_weights(folder)
        try:
            model = cls(**config)
        except VaelensError as error:
            raise VaelensError(f"the model in {str(folder)!r} cannot be built: {error}") from error
        model_folder.load_weights(model, weights, folder)
        model_folder.check_one_saving(config, saved_with, folder)
        return model
