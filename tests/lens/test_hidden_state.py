"""What a forward writes past every counter is put back; what goes from encoder to decoder past the code is named."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from vector_quantize_pytorch import VectorQuantize

import vaelens as vl

IMAGE = (1, 8, 8)


def images(n, seed=2):
    return torch.rand(n, *IMAGE, generator=torch.Generator().manual_seed(seed))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.m, self.d, self.o = nn.Linear(64, 3), nn.Linear(3, 8), nn.Linear(8, 64)

    def encode(self, x):
        return self.m(x.flatten(1))

    def decode(self, z):
        return torch.sigmoid(self.o(torch.relu(self.d(z)))).view(-1, *IMAGE)


class Normalises(Plain):
    """Batch statistics that are counted in every mode, which batch normalisation writes past the version counter."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.register_buffer("means", torch.zeros(3))
        self.register_buffer("variances", torch.ones(3))

    def train(self, mode=True):
        super().train(mode)
        self.norm.train()
        return self

    def encode(self, x):
        return functional.batch_norm(super().encode(x), self.means, self.variances, training=True)

    def decode(self, z):
        return torch.sigmoid(self.o(torch.relu(self.norm(self.d(z))))).view(-1, *IMAGE)


class Counts(Plain):
    """Counts in tensors through `.data` and in an array of NumPy."""

    def __init__(self):
        super().__init__()
        self.register_buffer("usage", torch.zeros(3))
        self.seen = np.zeros(1)
        self.largest = torch.zeros(1)

    def encode(self, x):
        z = super().encode(x)
        self.usage.data += z.abs().mean(0)
        self.seen += len(x)
        self.largest.data = z.max().reshape(1, 1)
        return z


class Quantises(nn.Module):
    """Codes that k-means takes from the first batch, as vector-quantize-pytorch has them."""

    def __init__(self):
        super().__init__()
        self.e, self.d = nn.Conv2d(1, 4, 2, 2), nn.ConvTranspose2d(4, 1, 2, 2)
        self.q = VectorQuantize(4, codebook_size=8, kmeans_init=True, accept_image_fmap=True)

    def encode(self, x):
        return self.q(self.e(x))[0]

    def decode(self, z):
        return torch.sigmoid(self.d(z))


def values_of(model):
    held = {name: value for name, value in vars(model).items() if isinstance(value, np.ndarray | torch.Tensor)}
    return {name: torch.as_tensor(value).clone() for name, value in {**model.state_dict(), **held}.items()}


@pytest.mark.parametrize("kind", [Normalises, Counts, Quantises])
def test_what_is_written_past_the_version_counter_is_put_back(kind):
    model = kind().eval()
    before = values_of(model)
    lens = vl.Lens(model, model.encode, model.decode, example=images(16), progress=False)
    vl.latent_effects(lens, images(20), values=[0.0, 1.0], progress=False)
    lens.run(images(5))
    after = values_of(model)
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert torch.equal(after[name], values), name


class Pools(nn.Module):
    """Hands where the maxima were from the encoder to the decoder, past the code."""

    def __init__(self):
        super().__init__()
        self.where = None
        self.c, self.o = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)

    def encode(self, x):
        h, self.where = functional.max_pool2d(torch.relu(self.c(x)), 2, return_indices=True)
        return h

    def decode(self, z):
        return torch.sigmoid(self.o(functional.max_unpool2d(z, self.where, 2)))


@pytest.mark.parametrize("used", [False, True])
def test_a_hidden_way_from_encoder_to_decoder_is_named(used):
    model = Pools().eval()
    if used:  # what an earlier forward left is not what this one would
        with torch.no_grad():
            model.encode(images(4))
    with pytest.raises(vl.VaelensError, match=r"decode reads what encode left on the Pools \(where\), .*give encode="):
        vl.Lens(model, model.encode, model.decode, example=images(4))


class Level(Plain):
    """Keeps the level of the batch in a buffer, in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("level", torch.ones(1))

    def encode(self, x):
        self.level.copy_(x.mean().reshape(1))
        return super().encode(x / self.level)

    def decode(self, z):
        return super().decode(z) * self.level


def test_a_buffer_that_the_encoder_writes_and_the_decoder_reads_is_named():
    model = Level().eval()
    with pytest.raises(vl.VaelensError, match=r"decode reads what encode left on the Level \(level\), and"):
        vl.Lens(model, model.encode, model.decode, example=images(4))
    assert float(model.level) == 1


class Remembers(Plain):
    """Keeps the level of the batch in a list inside a dictionary of its last layer."""

    def __init__(self):
        super().__init__()
        self.o.memory = {"levels": []}

    def encode(self, x):
        self.o.memory["levels"][:] = [x.mean()]
        return super().encode(x / self.o.memory["levels"][0])

    def decode(self, z):
        return super().decode(z) * self.o.memory["levels"][0]


def test_a_container_inside_another_is_named_by_the_path_of_its_module():
    model = Remembers().eval()
    with pytest.raises(vl.VaelensError, match=r"decode reads what encode left on the Remembers \(o\.memory\), and"):
        vl.Lens(model, model.encode, model.decode, example=images(4))
    assert model.o.memory == {"levels": []}


@pytest.mark.parametrize("execution", ["auto", "hooks"])
@pytest.mark.parametrize("each", [False, True])
def test_a_hidden_way_outside_of_the_model_is_noticed(each, execution):
    class Around:
        """A plain object that keeps the level of all images, or of each."""

        def __init__(self, net):
            self.net = net

        def encode(self, x):
            self.level = x.flatten(1).mean(1).view(-1, 1, 1, 1) if each else x.mean()
            return self.net.encode(x / self.level)

        def decode(self, z):
            return self.net.decode(z) * self.level

    around = Around(Plain().eval())
    with pytest.raises(vl.VaelensError, match="decode reads what encode left outside of the model, and a lens runs"):
        vl.Lens(around.net, around.encode, around.decode, example=images(4), execution=execution)
