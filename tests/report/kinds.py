"""The kinds of analysis that pages are tried on, as arguments of `analysis_of`."""

import numpy as np

SWAPS = [[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]  # CES at each position of a grid of 2 × 3
KINDS = {
    "factors": {},
    "of an earlier version": {"earlier": True},
    "observed": {"observed": [3.0, 0.2]},
    "no factors": {"factors": None},
    "colour": {"channels": 3},
    "none active": {"active": [False] * 3},
    "without effect": {"ces": [0.0, np.nan, 1.0]},
    "one latent": {"ces": [1.0]},
    "many latents": {"ces": np.linspace(1, 5, 40), "active": np.arange(40) % 3 > 0},
    "codebook": {"swaps": SWAPS, "channels": 3},
    "codebook, many latents and positions": {
        "ces": np.linspace(1, 5, 100),
        "swaps": np.arange(400.0).reshape(20, 20),
        "factors": None,
    },
    "dead codebook": {"codes": (512, 1)},
    "odd names": {"name": "<b>x</b>", "factors": ("<i>&amp;</i>", "</script><script>alert(1)</script>")},
}
FIGURES = 5
