"""Answers to the page in plain values, about what there is, what a view shows and what each unit costs."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from vaelens.analysis.manifest import plain
from vaelens.errors import VaelensError
from vaelens.explorer.picture import Pictures, caption
from vaelens.explorer.python import Origin, python_of
from vaelens.explorer.scene import Scene
from vaelens.explorer.upload import LARGEST, PACKED, packed_picture
from vaelens.explorer.view import View
from vaelens.explorer.walk import Walk, plain_edges
from vaelens.lens import LATENT

_LISTED = 256  # units of a site that the page lists, those of largest effect
_STEPS = 240  # of a slider
_REACH = 3.0  # standard deviations of the prior that a slider reaches at least


class Answers:
    """Answers the page.

    Args:
        scene: the model and its images.
        origin: how lens and dataset come about, for the copied code.
    """

    def __init__(self, scene: Scene, origin: Origin) -> None:
        self._scene, self._origin = scene, origin
        self._pictures = Pictures(scene.lens.observation)

    def open(self, query: str) -> dict[str, Any]:
        """Says what there is to look at, and which view an address is of."""
        scene, kind = self._scene, self._scene.lens.observation
        told = {
            "title": f"{scene.lens.describe()['model']} on {scene.ds.name}",
            "one": kind.one,
            "several": kind.noun,
            "distance": kind.distance,
            "count": len(scene.ds),
            "takes_pictures": kind.is_image and kind.shape[0] in (1, 3) and not scene.lens.takes_context,
            "largest": LARGEST,
            "caption": caption(kind),
            "quantised": scene.lens.quantised,
            "spatial": scene.spatial,
            "latents": self._latents(),
            "sites": [
                {"name": name, "units": site.units, "shape": "×".join(map(str, site.shape))}
                for name, site in scene.lens.sites.items()
            ],
            "inner": list(scene.table.sites),
            "images": [
                {"index": int(index), "picture": self._pictures.thumbnail(_array(row[None]))}
                for index, row in zip(scene.indices, _values(scene.images), strict=True)
            ],
            "circuits": [self._circuit(walk) for walk in scene.walks.values()],
        }
        default = self._default()
        view, error = default, None
        try:
            view = View.from_query(query, default)
            if view.edits and view.site == default.site:
                first = view.edits[0]
                view = replace(view, site=first.site, how=first.how, factor=first.factor)
            scene.show(view)
        except VaelensError as problem:
            view, error = default, str(problem)
        return plain({**told, "view": view.plain(), "error": error})

    def show(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Shows a view with its pictures, codes, how far each site moved, the address, and the call in Python."""
        return _told(lambda: self._show(View.from_plain(record)))

    def units(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Measures what each unit of the view's site costs downstream, the largest effect first."""
        return _told(lambda: self._units(View.from_plain(record)))

    def upload(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Checks a picture from the browser, in base64, and brings it to the model's shape."""
        return _told(lambda: self._upload(record))

    def _default(self) -> View:
        first, second = (str(index) for index in self._scene.indices[:2])
        inner = [name for name in self._scene.table.sites if name.startswith("decoder")] or [LATENT]
        circuit = next(iter(self._scene.walks), "")
        return View(first, second, site=inner[0], circuit=circuit)

    def _show(self, view: View) -> dict[str, Any]:
        shown = self._scene.show(view)
        base, image, source = (_array(each) for each in (shown.base, shown.image, shown.source))
        difference = _array(shown.difference)
        painted, most = self._pictures.difference(difference)
        contrast = difference if np.any(difference) else source - base
        codes = [_means(code) for code in (shown.base_code, shown.code, shown.recoded)]
        query = view.query()
        note = ""
        if PACKED in view.base + view.source and PACKED not in query:
            note = "the picture from the browser is too large for the address: a link shows an image of the dataset"
        return {
            "query": query,
            "pictures": {
                "base": self._pictures.observation(base, contrast),
                "image": self._pictures.observation(image, contrast),
                "source": self._pictures.observation(source, contrast),
                "difference": painted,
            },
            "inputs": {
                name: self._pictures.thumbnail(_array(self._scene.observation(key).values))
                for name, key in (("base", view.base), ("source", view.source))
            },
            "most": most,
            "code": [list(row) for row in zip(*codes, strict=True)],
            "moved": [{"site": site, "share": share} for site, share in shown.moved.items()],
            "changed": shown.changed,
            "way": shown.way,
            "python": python_of(self._scene, view, self._origin),
            "note": note,
        }

    def _units(self, view: View) -> dict[str, Any]:
        costs = self._scene.unit_costs(view)
        order = np.argsort(-costs.change, kind="stable")[:_LISTED]
        rows = [
            {"index": int(unit), "change": float(costs.change[unit]), "way": float(costs.way[unit])} for unit in order
        ]
        return {"site": view.site, "how": view.how, "of": len(costs.change), "units": rows}

    def _upload(self, record: Mapping[str, Any]) -> dict[str, Any]:
        text = record.get("content")
        if not isinstance(text, str) or len(text) > LARGEST * 4 // 3 + 4:
            raise VaelensError(f"the picture has more than {LARGEST // 2**20} MiB; make it smaller")
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise VaelensError("what came is no file; choose a picture again") from error
        if self._scene.lens.takes_context:
            raise VaelensError("the model takes a context, which a picture from the browser does not have")
        key = packed_picture(content, self._scene.ds.observation)
        picture = self._pictures.thumbnail(_array(self._scene.observation(key).values))
        return {"key": key, "picture": picture}

    def _latents(self) -> list[dict[str, Any]]:
        codes = self._scene.lens.encode(self._scene.images).double().cpu().numpy()  # (n, d, *positions)
        by_latent = np.moveaxis(codes, 1, 0).reshape(codes.shape[1], -1)
        spread = by_latent.std(axis=1)
        if self._scene.spatial:  # what is added to every position
            reach = np.where(spread > 0, _REACH * spread, 1.0)
        else:
            reach = np.maximum(_REACH, 1.25 * np.abs(by_latent).max(axis=1))
        ends = [float(f"{end:.2g}") for end in reach]
        return [
            {"index": latent, "low": -end, "high": end, "step": 2 * end / _STEPS, "spread": float(spread[latent])}
            for latent, end in enumerate(ends)
        ]

    def _circuit(self, walk: Walk) -> dict[str, Any]:
        sites = [
            {
                "site": site,
                "units": [
                    {
                        "index": unit,
                        "loss": walk.losses.get((site, unit), float("nan")),
                        "map": self._pictures.magnitudes(walk.maps[site, unit]) if (site, unit) in walk.maps else "",
                    }
                    for unit in units
                ],
            }
            for site, units in walk.units.items()
        ]
        return {
            "factor": walk.factor,
            "faithfulness": walk.faithfulness,
            "sites": sites,
            "edges": plain_edges(walk.edges),
        }


def _told(answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Answers, or says in one sentence why not."""
    try:
        return plain(answer())
    except VaelensError as error:
        return {"error": str(error)}
    except Exception as error:  # whatever a model comes up with
        said = " ".join(str(error).split())[:300]
        return {"error": f"the model raised {type(error).__name__}: {said}"}


def _values(images: Any) -> Tensor:
    return images if isinstance(images, Tensor) else images.values


def _array(rows: Tensor) -> np.ndarray:
    """Turns the one row to single precision, since NumPy has no bfloat16."""
    return rows[0].float().cpu().numpy()


def _means(code: Tensor) -> list[float]:
    """Averages the one code over positions."""
    return code[0].double().flatten(1).mean(dim=1).tolist() if code.ndim > 2 else code[0].double().tolist()
