"""Effects that are written into an AnnData, gene by gene."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.errors import VaelensError

anndata = pytest.importorskip("anndata", reason="anndata is not installed: pip install '.[scvi]'")

GENES = ["A", "B", "C"]
WEIGHTS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])  # (genes, latents)


def effects_of(genes=GENES):
    encoder, decoder = nn.Linear(3, 2, bias=False), nn.Linear(2, 3, bias=False)
    with torch.no_grad():
        decoder.weight.copy_(WEIGHTS)
    cells = vl.Observation.vector(genes, unit="expression", noun="cells")
    x = torch.rand(8, 3)
    lens = vl.Lens(
        nn.ModuleDict({"encoder": encoder, "decoder": decoder}), encoder, decoder, example=x[:2], observation=cells
    )
    return vl.latent_effects(lens, x, progress=False)


def cells_of(genes):
    adata = anndata.AnnData(np.ones((4, len(genes)), dtype=np.float32))
    adata.var_names = genes
    return adata


def test_each_gene_has_the_effects_of_its_name_in_the_file_too(tmp_path):
    effects, adata = effects_of(), cells_of(["C", "other", "A", "B"])

    vl.annotate(adata, effects)
    for table in (adata.obs, adata.var):
        table.index = table.index.astype(object)  # anndata can't write the strings of pandas 3 yet
    adata.write_h5ad(tmp_path / "cells.h5ad")

    for kept in (adata, anndata.read_h5ad(tmp_path / "cells.h5ad")):
        for end in ("", "_low", "_high"):
            expected = effects[f"effect_map{end}"].sel(feature=["C", "A", "B"]).values.T
            np.testing.assert_array_equal(kept.varm[f"vaelens_effect{end}"][[0, 2, 3]], expected)
        assert np.isnan(kept.varm["vaelens_effect"][1]).all()
        ratio = kept.varm["vaelens_effect"][0, 0] / kept.varm["vaelens_effect"][2, 0]
        assert ratio == pytest.approx(3, rel=1e-5)  # as the decoder's weights
        np.testing.assert_array_equal(kept.uns["vaelens"]["ces"], effects.ces.values)
        assert list(kept.uns["vaelens"]["latent"]) == ["0", "1"]
        assert kept.uns["vaelens"]["how"]["mode"] == "range"


def test_written_again_it_is_replaced_and_nothing_else_is():
    adata = cells_of(GENES)
    vl.annotate(adata, effects_of())
    adata.varm["vaelens_effect"][:] = 0

    vl.annotate(adata, effects_of())
    assert adata.varm["vaelens_effect"].any()

    adata.uns["mine"] = {"notes": "kept"}
    with pytest.raises(VaelensError, match=r"uns\['mine'\] is there already, and not from here; give another key"):
        vl.annotate(adata, effects_of(), key="mine")
    assert adata.uns["mine"] == {"notes": "kept"}


def test_what_does_not_fit_is_refused():
    with pytest.raises(VaelensError, match=r"has no gene 'B'; give the AnnData that the cells came from"):
        vl.annotate(cells_of(["A", "C"]), effects_of())
    with pytest.raises(VaelensError, match="two genes are called 'A'; make their names unique"):
        vl.annotate(cells_of(["A", "A", "B", "C"]), effects_of())
    with pytest.raises(VaelensError, match=r"a dict has no var_names; expected an anndata\.AnnData"):
        vl.annotate({}, effects_of())
    with pytest.raises(VaelensError, match=r"effects are other effects; expected what vl\.latent_effects gives"):
        vl.annotate(cells_of(GENES), effects_of().drop_vars("effect_map"))
