import torch

import vaelens as vl


def test_a_run_prints_what_it_captured_and_what_was_hit(small):
    run = small.lens.run(small.x, vl.Set("latent", 0, small.lens.encode(small.x)[:, :1] + 2), capture="decoder.0")
    assert repr(run) == "Run(5 images, captured decoder.0, hits=[Hit(Set at latent, hits=1, change=4.472)])"
    assert "<tr><th>decoder.0</th><td>5×" in run._repr_html_()
    assert "<tr><th>Set</th><td>latent</td><td>1</td><td>4.472</td></tr>" in run._repr_html_()
    assert repr(vl.Run(torch.zeros(2, 1), torch.zeros(2, 1, 1, 1))) == "Run(2 images, captured nothing, hits=[])"
