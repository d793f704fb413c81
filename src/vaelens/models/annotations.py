"""The types of public arguments, as an editor sees them.

When a program runs they are Any, so that under a checker that executes annotations, as in the tests, a wrong argument
reaches the error that explains it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from typing import Literal

    from lightning.pytorch import Callback
    from lightning.pytorch.loggers import Logger
    from torch import Tensor, device, nn

    from vaelens.models.batches import ImageSource
    from vaelens.models.hyperparameters import Value
    from vaelens.models.vae import VAE
    from vaelens.observation import Observation

    # The names stand in it for an editor to offer; any text is taken, and checked.
    ObjectiveName = (
        Literal["vae", "beta-vae", "annealed-vae", "factor-vae", "beta-tc-vae", "dip-vae-i", "dip-vae-ii", "vq-vae"]
        | str
    )
    LikelihoodName = (
        Literal[
            "bernoulli",
            "gaussian",
            "gaussian-learned",
            "negative-binomial",
            "zero-inflated-negative-binomial",
            "categorical",
        ]
        | str
    )
    DeviceName = Literal["auto", "cpu", "cuda", "mps"] | str | device
    ImageShape = Sequence[int] | Observation
    Batch = Tensor
    Count = int
    Rate = float
    Seed = int
    Name = str
    HyperparameterValue = Value
    Values = Mapping[str, Value] | None
    OwnModule = nn.Module | None
    Folder = str | PathLike[str]
    Model = VAE
    Data = ImageSource | Tensor
    Loggers = Logger | Sequence[Logger] | None
    Callbacks = Callback | Sequence[Callback] | None
else:
    ObjectiveName = LikelihoodName = DeviceName = ImageShape = Batch = Count = Rate = Seed = Name = Values = Any
    HyperparameterValue = OwnModule = Folder = Model = Data = Loggers = Callbacks = Any
