"""Effects of factors on random images against those over the full grid: `python -m benchmarks.no_grid`.

A model that is trained on `sprites` of 32×32 is asked twice what a change of each factor does to its output: over pairs
of the full grid, and from 3,000 random images of it, in which hardly two share all other labels.
"""

import pandas as pd

import vaelens as vl

IMAGES, PAIRS, STEPS = 3000, 1000, 1500


def table(images: int = IMAGES, pairs: int = PAIRS, steps: int = STEPS) -> pd.DataFrame:
    """Effects on the output by factor in pixel-L2: of the grid, of pairs of random images, and those adjusted."""
    grid = vl.load_dataset("sprites", size=32)
    model = vl.build_model("vae", grid.image_shape)
    vl.train(model, grid, steps=steps, progress=False)
    lens = vl.Lens(model)
    x, labels = grid.sample(images, seed=0)
    kinds = {factor.name: factor.kind for factor in grid.factors}
    samples = {
        "kinds given": vl.ArrayDataset(x, labels, grid.factors.names, kinds=kinds),
        "kinds not given": vl.ArrayDataset(x, labels, grid.factors.names),
    }
    over_grid = vl.factor_effects(lens, grid, n=pairs, progress=False)
    columns = {"grid": over_grid.output_effect.to_series()}
    for name, ds in samples.items():
        effects = vl.factor_effects(lens, ds, n=pairs, progress=False)
        columns[f"pairs, {name}"] = effects.output_effect.to_series()
        columns[f"adjusted, {name}"] = effects.output_effect_adjusted.to_series()
        columns[f"adjusted / grid, {name}"] = columns[f"adjusted, {name}"] / columns["grid"]
    return pd.DataFrame(columns)


if __name__ == "__main__":
    print(table().round(2).to_string())
