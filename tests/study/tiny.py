"""A study of four cells that takes seconds."""

PLAN = """\
name: tiny
datasets: [digits]
models: [vae, {name: beta-vae, hyperparameters: {beta: 8}}]
seeds: [0, 1]
training: {steps: 8, batch_size: 8}
analysis:
  images: 8
  skip: [modes, recoded, input, patching, mediation, responses, swap, one_position, codes, pictures, importance,
    labels, controls]
"""
TITLES = ["digits/vae/0", "digits/beta-vae/0", "digits/vae/1", "digits/beta-vae/1"]


def table_of(folder):
    return (folder / "runs.csv").read_bytes()
