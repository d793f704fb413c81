import pytest
import torch

from vaelens.models.randomness import next_seed, own_randomness


def test_the_seed_fixes_what_is_drawn_inside_and_nothing_outside():
    before = torch.get_rng_state()
    with own_randomness(3):
        one = torch.rand(2)
        with own_randomness(4):
            other = torch.rand(2)
        rest = torch.rand(2)
    with own_randomness(3):
        assert torch.equal(torch.rand(4), torch.cat([one, rest]))
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_state_comes_back_after_an_error_too():
    def fail():
        with own_randomness(3):
            torch.rand(1)
            raise ZeroDivisionError("by zero")

    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError, match="by zero"):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_next_seed_goes_with_the_state_and_leaves_it():
    generator = torch.Generator().manual_seed(0)
    first = next_seed(generator)
    assert next_seed(generator) == first
    drawn = torch.rand(1, generator=generator)
    assert torch.equal(drawn, torch.rand(1, generator=torch.Generator().manual_seed(0)))
    assert next_seed(generator) != first
    assert next_seed(torch.Generator().manual_seed(0)) == first
