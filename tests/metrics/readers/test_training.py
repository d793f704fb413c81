import signal

import numpy as np
import pytest
import torch
from torch.nn import functional

import vaelens as vl
from vaelens.cache import cache_folder
from vaelens.metrics.readers.network import ReaderNetwork
from vaelens.metrics.readers.training import masked_loss


def test_a_missing_label_has_no_part_in_the_loss():
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(4, size, generator=generator) for size in (3, 5)]
    labels = torch.tensor([[0, 4], [-1, 2], [2, -1], [-1, 0]])
    expected = functional.cross_entropy(logits[0][[0, 2]], labels[[0, 2], 0])
    expected = expected + functional.cross_entropy(logits[1][[0, 1, 3]], labels[[0, 1, 3], 1])
    torch.testing.assert_close(masked_loss(logits, labels), expected)


def test_a_factor_whose_labels_are_all_missing_costs_nothing():
    logits = [torch.randn(2, 3, requires_grad=True)]
    loss = masked_loss(logits, torch.full((2, 1), -1))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits[0].grad.any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (1, 28, 28), (3, 64, 48), (1, 130, 1)])
def test_the_network_takes_images_of_any_size(shape):
    logits = ReaderNetwork(shape, {"one": 2, "other": 7})(torch.rand(3, *shape))
    assert {name: tuple(head_logits.shape) for name, head_logits in logits.items()} == {"one": (3, 2), "other": (3, 7)}


def test_an_interruption_saves_nothing_and_leaves_everything_as_it_was(squares):
    before, handler = torch.get_rng_state(), signal.getsignal(signal.SIGINT)

    def interrupt(done, total):
        raise KeyboardInterrupt

    kept = set(cache_folder().glob("readers/*"))
    with pytest.raises(KeyboardInterrupt, match="interrupted; nothing was saved"):
        vl.factor_reader(squares(70), steps=5, device="cpu", progress=interrupt)
    assert set(cache_folder().glob("readers/*")) == kept
    assert torch.equal(torch.get_rng_state(), before)
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.is_grad_enabled()


def test_an_error_of_the_data_is_passed_on(squares):
    class Broken(vl.ArrayDataset):
        def image_batch(self, indices):
            if len(indices) == 16:
                raise vl.VaelensError("the picture is gone")
            return super().image_batch(indices)

    whole = squares(40)
    all_factors = np.arange(40)
    broken = Broken(whole.image_batch(all_factors), whole.factor_values(all_factors))
    with pytest.raises(vl.VaelensError, match="the picture is gone"):
        vl.factor_reader(broken, steps=2, batch_size=16, device="cpu")
