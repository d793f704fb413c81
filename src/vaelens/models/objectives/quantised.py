"""VQ-VAE, with reconstruction and commitment. The codebook itself is learnt by moving averages, not by a gradient."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def vq_vae(
    reconstruction: Float[Tensor, " n"],
    encoded: Float[Tensor, "n d *positions"],
    quantised: Float[Tensor, "n d *positions"],
    indices: Int[Tensor, "n *positions"],
    codes: int,
    *,
    commitment: float,
) -> dict[str, Tensor]:
    """Adds to the reconstruction the encoder's distance from the codes it chose, `R + c·‖z_e − sg[e]‖²`.

    Summed over embedding dimensions and positions. Gradients pass the quantiser straight through.

    Args:
        reconstruction: R of each image, in nats.
        encoded: the encoder's output z_e.
        quantised: the chosen code e at each position; no gradient flows into it from here.
        indices: which code was chosen at each position.
        codes: the number of codes.
        commitment: the weight c, at least 0.

    Returns:
        loss, reconstruction, commitment (without its weight): means over the batch; perplexity: how many codes the
        batch uses, 1 to the number of codes.

    References:
        van den Oord, Vinyals, Kavukcuoglu: Neural Discrete Representation Learning (2017), equation 3 and
        appendix A.1.
    """
    negative_log_likelihood = reconstruction.mean()
    distance = (encoded - quantised.detach()).square().flatten(1).sum(1).mean()
    return {
        "loss": negative_log_likelihood + commitment * distance,
        "reconstruction": negative_log_likelihood,
        "commitment": distance,
        "perplexity": perplexity(indices, codes),
    }


def perplexity(indices: Int[Tensor, "*any"], codes: int) -> Float[Tensor, ""]:
    """Computes the effective number of codes in use, `exp H`, H the entropy of their frequencies in nats.

    Args:
        indices: chosen codes.
        codes: how many there are.

    Returns:
        1 (always the same one) to `codes` (all equally often).

    Example:
        >>> perplexity(torch.tensor([0, 0, 3, 3]), codes=512)
        tensor(2.)
    """
    counts = torch.bincount(indices.flatten(), minlength=codes)
    return torch.special.entr(counts / counts.sum()).sum().exp()
