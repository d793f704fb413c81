"""Which latents are informative, by the one rule that scores over latents and reports choose them by."""

import numpy as np
import xarray as xr
from jaxtyping import Bool

INFORMATIVE_NATS = 0.1


def informative_latents(effects: xr.Dataset) -> Bool[np.ndarray, " latents"]:
    """Tells which latents say something of the image, and not only differ from the prior.

    A latent is informative where I(x; z_i) > 0.1 nat and it is active. For a Gaussian latent that is a posterior whose
    variance is less than 4.5 times that of its means, I = ½ log(1 + Var μ_i / E σ_i²). Each latent is judged by itself:
    adding, removing, permuting, flipping, shifting or rescaling other latents changes nothing, which a rule by shares
    of the sum would not keep. `active` stays by KL as the papers have it; KL is information plus the distance of the
    aggregate from the prior, and a latent can be active and tell next to nothing.

    Args:
        effects: as `latent_effects` returns them: `active` (latent), and `information` (latent) in nats where the
            encoder returns a variance; where it returns none, the informative latents are the active ones.

    Example:
        >>> informative_latents(xr.Dataset({
        ...     "information": (("latent",), [2.0, 0.05, 0.0]), "active": (("latent",), [True, True, False]),
        ... }))
        array([ True, False, False])
    """
    active = np.asarray(effects["active"].values, dtype=bool)
    if "information" not in effects:
        return active
    return active & (effects["information"].values > INFORMATIVE_NATS)
