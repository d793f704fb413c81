"""Models of scvi-tools: the effect of every latent equals a loop on scvi's `generative`, batch and library fixed."""

import numpy as np
import pytest
import torch

import vaelens as vl

scvi = pytest.importorskip("scvi", reason="scvi-tools is not installed: pip install 'vaelens[scvi]'")


@pytest.mark.parametrize("kind", ["SCVI", "LinearSCVI"])
@pytest.mark.filterwarnings("ignore")
def test_effects_equal_a_loop_on_scvis_own_generative(kind):
    adata = scvi.data.synthetic_iid(batch_size=40, n_genes=20)
    build = getattr(scvi.model, kind)
    build.setup_anndata(adata, batch_key="batch")
    model = build(adata, n_latent=3, n_hidden=16)
    model.train(max_epochs=2, accelerator="cpu", enable_progress_bar=False, logger=False)
    lens = vl.Lens(model)
    ds = vl.AnnDataset(adata, context={"batch": "_scvi_batch"}, unit="counts")
    at = np.arange(len(ds))
    x, context = ds.images_at(at), ds.context_at(at)
    effects = vl.latent_effects(lens, x, context=context, progress=False)
    assert effects.feature.values.tolist() == list(adata.var_names)
    assert effects.ces.attrs["units"] == "L2 in log-normalised expression"
    module, batch = model.module.eval(), torch.as_tensor(context["batch"])[:, None].long()
    with torch.no_grad():
        inferred = module.inference(x, batch)
        code, library = inferred["qz"].loc, inferred["library"]

        def expression(z):
            return torch.log1p(1e4 * module.generative(z, library, batch)["px"].scale)

        base = expression(code)
        for latent in range(3):
            distances, changes = [], []
            for value in np.linspace(-3, 3, 7):
                changed = code.clone()
                changed[:, latent] = float(value)
                change = expression(changed) - base
                distances.append(float(change.norm(dim=1).mean()))
                changes.append(change.abs().mean(dim=0))
            assert float(effects.ces[latent]) == pytest.approx(np.mean(distances), abs=1e-4)
            np.testing.assert_allclose(effects.effect_map[latent], torch.stack(changes).mean(dim=0), atol=1e-4)
    with pytest.raises(
        vl.VaelensError, match="this model takes a context besides; give context=, batch: whole numbers"
    ):
        vl.latent_effects(lens, x, progress=False)
