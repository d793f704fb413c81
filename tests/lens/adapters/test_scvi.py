"""Models of scvi-tools: the effect of every latent equals a loop on scvi's `generative`, batch and library fixed."""

import numpy as np
import pytest
import torch

import vaelens as vl

scvi = pytest.importorskip("scvi", reason="scvi-tools is not installed: pip install '.[scvi]'")


KINDS = {
    "SCVI": {},
    "LinearSCVI": {},
    "SCANVI": {"labels_key": "labels", "unlabeled_category": "unknown"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_effects_equal_a_loop_on_scvis_own_generative(kind):
    adata = scvi.data.synthetic_iid(batch_size=40, n_genes=20)
    build = getattr(scvi.model, kind)
    build.setup_anndata(adata, batch_key="batch", **KINDS[kind])
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


@pytest.mark.filterwarnings("ignore")
def test_effects_on_the_rna_of_totalvi_equal_a_loop_with_proteins_fixed():
    adata = scvi.data.synthetic_iid(batch_size=40, n_genes=20, n_proteins=5)
    scvi.model.TOTALVI.setup_anndata(adata, batch_key="batch", protein_expression_obsm_key="protein_expression")
    model = scvi.model.TOTALVI(adata, n_latent=3, n_hidden=16)
    model.train(max_epochs=2, accelerator="cpu", enable_progress_bar=False, logger=False, reduce_lr_on_plateau=False)
    lens = vl.Lens(model)
    names = {"batch": "_scvi_batch", "proteins": "protein_expression"}
    ds = vl.AnnDataset(adata, context=names, unit="counts")
    at = np.arange(len(ds))
    x, context = ds.images_at(at), ds.context_at(at)
    effects = vl.latent_effects(lens, x, context=context, progress=False)
    assert effects.feature.values.tolist() == list(adata.var_names)
    module, batch = model.module.eval(), torch.as_tensor(context["batch"])[:, None].long()
    with torch.no_grad():
        inferred = module.inference(x, torch.as_tensor(context["proteins"]), batch, batch)
        code, library = inferred["qz"].loc, inferred["library_gene"]
        torch.testing.assert_close(lens.encode(x, context), code)

        def expression(z):
            return torch.log1p(1e4 * module.generative(z, library, batch, batch * 0)["px_"]["scale"])

        # What is decoded is of the code as scvi transforms it.
        base = expression(module.encoder.z_transformation(code))
        for latent in range(3):
            distances = []
            for value in np.linspace(-3, 3, 7):
                changed = code.clone()
                changed[:, latent] = float(value)
                change = expression(module.encoder.z_transformation(changed)) - base
                distances.append(float(change.norm(dim=1).mean()))
            assert float(effects.ces[latent]) == pytest.approx(np.mean(distances), abs=1e-4)
    with pytest.raises(vl.VaelensError, match="context 'proteins' is missing"):
        lens.encode(x, {"batch": context["batch"]})


@pytest.mark.filterwarnings("ignore")
def test_counts_below_zero_are_one_sentence():
    adata = scvi.data.synthetic_iid(batch_size=20, n_genes=10)
    scvi.model.SCVI.setup_anndata(adata, batch_key="batch")
    lens = vl.Lens(scvi.model.SCVI(adata, n_latent=2, n_hidden=8))
    with pytest.raises(vl.VaelensError, match="counts are as low as -1; expected none below 0"):
        lens.encode(torch.full((4, 10), -1.0), {"batch": np.zeros(4, dtype=int)})
