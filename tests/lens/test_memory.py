"""What happens when memory runs out: the same results in halves, or an error that says what to do."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.lens import Region, SitePatch
from vaelens.lens.memory import halving, in_chunks, is_out_of_memory
from vaelens.lens.model_part import ModelPart

FULL = torch.OutOfMemoryError("CUDA out of memory")
ERRORS = [FULL, MemoryError("none left"), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_halving_gives_all_rows_in_order(error):
    sizes = []

    def work(rows):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise error
        return 10 * rows

    assert halving(work, torch.arange(7)).tolist() == [0, 10, 20, 30, 40, 50, 60]
    assert sizes == [7, 3, 1, 2, 4, 2, 2]


def test_one_row_that_does_not_fit_is_an_error():
    def work(rows):
        raise FULL

    with pytest.raises(vl.VaelensError, match=r"one image alone does not fit into memory \(CUDA out of memory\)"):
        halving(work, torch.arange(5))
    with pytest.raises(vl.VaelensError, match="one image alone does not fit into memory"):
        list(in_chunks(5, 4, work))


def test_other_errors_pass_through():
    def work(rows):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        halving(work, torch.arange(5))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        list(in_chunks(5, 4, work))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_chunks_stay_small_once_memory_has_run_out():
    def build(chunk):
        if chunk.stop - chunk.start > 2:
            raise FULL
        return chunk.start

    found = [(chunk.start, chunk.stop, made) for chunk, made in in_chunks(9, 5, build)]
    assert found == [(0, 2, 0), (2, 4, 2), (4, 6, 4), (6, 8, 6), (8, 9, 8)]


def limited(monkeypatch, name, size, limit):
    """Has a method of a part run out of memory above some rows; the numbers that it was asked for."""
    asked, method = [], getattr(ModelPart, name)

    def narrow(self, *args, **options):
        asked.append(size(args))
        if size(args) > limit:
            raise FULL
        return method(self, *args, **options)

    monkeypatch.setattr(ModelPart, name, narrow)
    return asked


LIMITS = [
    ("rerun", lambda args: len(args[1])),
    ("cache", lambda args: len(args[0])),
]


@pytest.mark.parametrize("execution", ["auto", "hooks"])
@pytest.mark.parametrize(("method", "size"), LIMITS, ids=[name for name, _ in LIMITS])
def test_sweeps_give_the_same_in_less_memory(build, monkeypatch, method, size, execution):
    found = build("spatial", execution=execution)

    def sweeps():
        patching = vl.patching_effects(
            found.lens, found.x, found.y, outcome="image", sites=["encoder.0"], progress=False
        )
        later = vl.patching_effects(found.lens, found.x, found.y, sites=["latent", "decoder.0"], progress=False)
        mediation = vl.mediation_effects(found.lens, found.x, found.y, "encoder.0", outcome="image", progress=False)
        return [patching.effect, patching.recovered, later.effect, mediation.indirect, mediation.direct]

    plain = [values.values for values in sweeps()]
    asked = limited(monkeypatch, method, size, 2)
    for values, expected in zip(sweeps(), plain, strict=True):
        np.testing.assert_allclose(values.values, expected, rtol=1e-4, atol=1e-6)
    assert max(asked) > 2
    assert min(asked) <= 2


@pytest.mark.parametrize(("method", "size"), LIMITS, ids=[name for name, _ in LIMITS])
def test_a_sweep_that_no_image_fits_into_says_so(build, monkeypatch, method, size):
    found = build("spatial")
    limited(monkeypatch, method, size, 0)
    with pytest.raises(vl.VaelensError, match="one image alone does not fit into memory"):
        vl.patching_effects(found.lens, found.x, found.y, progress=False)


def test_a_decoder_that_runs_out_where_the_encoder_does_not(build, monkeypatch):
    found = build("spatial")

    def effects():
        return vl.patching_effects(found.lens, found.x, found.y, outcome="image", progress=False).effect.values

    plain, cache = effects(), ModelPart.cache

    def narrow(self, inputs, *args, **options):
        if self is found.lens.engine.parts.decoder and len(inputs) > 2:
            raise FULL
        return cache(self, inputs, *args, **options)

    monkeypatch.setattr(ModelPart, "cache", narrow)
    np.testing.assert_allclose(effects(), plain, rtol=1e-4, atol=1e-6)


def test_several_targets_are_halved_too(build, monkeypatch):
    found = build("own")
    run = found.lens.engine.cached_run(found.x, ["encoder.0"])
    source = found.lens.run(found.y, capture=["encoder.0"]).activations["encoder.0"]
    patch = SitePatch("encoder.0", source, [Region((unit,)) for unit in range(4)])

    def rows():
        batches = list(run.interchange(patch, ["code", "image"]))
        return [torch.cat([batch.values[target] for batch in batches]) for target in ("code", "image")]

    plain = rows()
    asked = limited(monkeypatch, "rerun", lambda args: len(args[1]), 2)
    for values, expected in zip(rows(), plain, strict=True):
        torch.testing.assert_close(values, expected)
    assert max(asked) > 2


def test_a_small_budget_gives_the_same(build):
    found = build("own")
    large = vl.patching_effects(found.lens, found.x, found.y, progress=False)
    small = vl.Lens(found.model, example=found.x, memory_mb=0.5)
    assert small.engine.rows < found.lens.engine.rows
    assert len(small.engine.site_groups([*small.sites])) > 1 == len(found.lens.engine.site_groups([*found.lens.sites]))
    effects = vl.patching_effects(small, found.x, found.y, progress=False)
    for name in ("effect", "recovered"):
        np.testing.assert_allclose(effects[name], large[name], rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked what the process has")
@pytest.mark.parametrize(("even_where_set", "kept"), [(False, False), (True, True)])
def test_thresholds_that_the_environment_sets_are_kept_unless_a_worker_overrules_them(even_where_set, kept):
    script = f"""
import re
from pathlib import Path
from vaelens.lens.memory import keep_freed_memory
keep_freed_memory({even_where_set})
resident = lambda: int(re.search("VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before, block = resident(), b"1" * 8 * 2**20
del block
print(resident() - before)
"""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (int(ran.stdout) > 6_000) == kept  # kilobytes, of the 8,192 of the block
