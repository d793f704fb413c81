"""What the gallery needs besides: the order of its pages, and the figures that no window holds."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

_ORDER = (
    "own_module.py",
    "pythae_model.py",
    "diffusers_model.py",
    "photos.py",
    "table.py",
    "scvi_cells.py",
    "codebook.py",
    "direction.py",
    "planted_circuit.py",
    "two_models.py",
    "paper_figures.py",
)


def order(example: str) -> int:
    """Says where an example stands: the ones without a place come last."""
    return _ORDER.index(example) if example in _ORDER else len(_ORDER)


def save_figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Saves the figures that a block has made, and returns the text that shows them."""
    paths = []
    for value in list(block_vars["example_globals"].values()):
        if isinstance(value, Figure) and not hasattr(value, "in_gallery"):
            value.in_gallery = True  # pyright: ignore[reportAttributeAccessIssue]
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=130)
            paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])
