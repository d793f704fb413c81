import torch

import vaelens as vl


def test_a_run_prints_what_it_captured_and_what_was_hit(small):
    run = small.lens.run(small.x, vl.Set("latent", 0, small.lens.encode(small.x)[:, :1] + 2), capture="decoder.0")
    assert repr(run) == "Run(5 images, captured decoder.0, hits=[Hit(Set at latent, hits=1, change=4.472)])"
    assert repr(vl.Run(torch.zeros(2, 1), torch.zeros(2, 1, 1, 1))) == "Run(2 images, captured nothing, hits=[])"
