"""What is allowed less than single precision is not while a lens runs, and is again afterwards; the default device."""

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens.single_precision import single_precision

_ONE_BY_ONE = hasattr(torch.backends.cudnn, "conv")


def state():
    """What PyTorch says of its precision, in both ways; reading the older one fails where the two disagree."""
    kinds = ("conv", "rnn", "matmul")
    one_by_one = [getattr(torch.backends.mkldnn, kind).fp32_precision for kind in kinds if _ONE_BY_ONE]
    one_by_one += [torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision] * _ONE_BY_ONE
    for read in (lambda: torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision):
        try:
            one_by_one.append(read())
        except RuntimeError:
            one_by_one.append("set one by one")
    return one_by_one


def allow_products(value):
    torch.backends.cuda.matmul.allow_tf32 = value


def set_one_by_one(value):
    if not _ONE_BY_ONE:
        pytest.skip("this PyTorch has one setting for all")
    torch.backends.cuda.matmul.fp32_precision = value


@pytest.mark.parametrize(
    ("allow", "less", "whole"),
    [
        (torch.set_float32_matmul_precision, "medium", "highest"),
        (torch.set_float32_matmul_precision, "high", "highest"),
        (allow_products, True, False),
        (set_one_by_one, "tf32", "ieee"),
    ],
)
def test_products_are_of_single_precision_inside_and_as_before_afterwards(allow, less, whole):
    allow(less)
    try:
        before = state()
        with single_precision():
            assert not torch.backends.cudnn.allow_tf32
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cuda.matmul.allow_tf32
        assert state() == before
    finally:
        allow(whole)


def test_a_model_runs_without_tf32_also_where_it_is_allowed():
    seen = []

    class Decoder(nn.Linear):
        def forward(self, z):
            seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
            return super().forward(z).sigmoid()

    model = nn.ModuleDict({"encoder": nn.Linear(6, 2), "decoder": Decoder(2, 6)})
    torch.set_float32_matmul_precision("high")
    try:
        before = state()
        x = torch.rand(8, 6, generator=torch.Generator().manual_seed(0))
        lens = vl.Lens(model, encode=model["encoder"], decode=model["decoder"], example=x, progress=False)
        vl.latent_effects(lens, x, progress=False)
        assert state() == before
    finally:
        torch.set_float32_matmul_precision("highest")

    assert set(seen) == {("highest", False)}


def test_a_default_device_other_than_the_cpu_is_refused_in_a_sentence():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    lens = vl.Lens(model, progress=False)
    asks = [
        lambda: vl.Lens(model, progress=False),
        lambda: vl.latent_effects(lens, x, progress=False),
        lambda: vl.train(model, x, steps=1, batch_size=4, progress=False, device="cpu"),
    ]

    with torch.device("meta"):
        for ask in asks:
            with pytest.raises(vl.VaelensError, match=r"set_default_device is 'meta'.* call torch.set_default_device"):
                ask()
