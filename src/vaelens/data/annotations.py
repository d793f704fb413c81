"""What the parameters of public functions are, for an editor and a type checker.

The tests execute annotations, but what is no such thing must reach the sentence that refuses it: run, each is Any.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Literal, Protocol

    import numpy as np
    import pandas as pd
    from torch import Tensor

    class Items(Protocol):
        """Anything that has a length and returns items by index."""

        def __len__(self) -> int: ...
        def __getitem__(self, index: Any, /) -> Any: ...

    ArrayLike = np.ndarray | Tensor | Sequence[Any]
    Context = np.ndarray | Tensor | Mapping[str, np.ndarray | Tensor] | None
    Count = int
    Name = str
    Flag = bool
    Number = float
    Seed = int
    PathLike = str | os.PathLike[str]
    DatasetName = (
        Literal[
            "sprites",
            "room",
            "pendulum",
            "garden",
            "digits",
            "cells",
            "dsprites",
            "shapes3d",
            "mpi3d",
            "smallnorb",
            "celeba",
            "folder",
            "array",
        ]
        | str
    )
    Names = Sequence[str]
    Range = tuple[float, float] | None
    Kinds = Mapping[str, Literal["ordinal", "circular", "categorical", "continuous"]]
    LabelTableLike = str | os.PathLike[str] | pd.DataFrame
    Size = int | Sequence[int]
    Crop = Literal["center"] | Sequence[int]
    Channels = Literal[1, 3]
    CelebASplit = Literal["all", "train", "valid", "test"]
    SmallNORBSplit = Literal["both", "train", "test"]
    Camera = Literal[0, 1]
    MPI3DVariant = Literal["toy", "realistic", "real", "real_complex"]
else:
    ArrayLike = Context = Count = Name = Flag = Number = Seed = PathLike = DatasetName = Names = Kinds = (
        LabelTableLike
    ) = Any
    Range = Items = Size = Crop = Channels = CelebASplit = SmallNORBSplit = Camera = MPI3DVariant = Any
