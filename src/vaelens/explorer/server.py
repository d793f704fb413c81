"""The server of the explorer, which is Gradio on this machine with whatever it says to others turned off.

Gradio is an extra, `pip install '.[explore]'` in the clone. All that is computed and said is in the other files.
"""

import asyncio
import atexit
import os
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vaelens.circuits import Circuit
from vaelens.data import FactorDataset
from vaelens.errors import VaelensError
from vaelens.explorer.answers import Answers
from vaelens.explorer.guard import Guard
from vaelens.explorer.python import Origin
from vaelens.explorer.scene import Scene
from vaelens.explorer.walk import Walk, walks_of
from vaelens.lens import Lens
from vaelens.markup import text

if TYPE_CHECKING:
    _Lens: TypeAlias = Lens
    _Dataset: TypeAlias = FactorDataset
    _Circuits: TypeAlias = Circuit | Walk | str | Path | Iterable[Circuit | Walk | str | Path]
else:  # anything else is refused in a sentence, which a type that is checked at run time would forestall
    _Lens = _Dataset = _Circuits = Any

_FIRST_PORT, _PORTS = 7860, 100  # that are tried where none is given
_HERE = ("localhost", "127.0.0.1", "::1")
_SCRIPTS = ("state", "images", "stage", "latents", "units", "circuit", "begin")  # one after the other, one program
_SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SHARE": "False",
    "GRADIO_NUM_WORKERS": "0",
}


class Explorer:
    """An explorer that is being served.

    Attributes:
        url: where a browser finds it.
    """

    def __init__(self, answers: Answers, title: str, host: str, port: int | None) -> None:
        library, free_port = gradio(), _free_port(host, port)
        self._closed = threading.Event()
        self._blocks = _in_a_loop(lambda: _launched(library, answers, title, host, free_port))
        name = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host
        self.url = f"http://{name}:{free_port}/"

    def wait(self) -> None:
        """Serves until Ctrl-C, or until it is closed, and closes it then."""
        try:
            while not self._closed.wait(0.2):
                pass
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Stops serving, and leaves nothing on the disk."""
        if not self._closed.is_set():
            self._closed.set()
            self._blocks.close(verbose=False)

    def __enter__(self) -> "Explorer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Explorer at {self.url}" + (" (closed)" if self._closed.is_set() else "")

    def _repr_html_(self) -> str:
        return f'<p>The explorer: <a href="{text(self.url)}" target="_blank">{text(self.url)}</a></p>'


def explore(
    lens: _Lens,
    ds: _Dataset,
    circuit: _Circuits | None = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    block: bool = True,
    origin: Origin | None = None,
) -> Explorer:
    """Serves a page on this machine in which images, latents, units and circuits are changed by hand.

    A base and a source image are chosen; latents are dragged, and units of any site take the source's values, zero,
    their mean or a multiple of their own; the image, its difference from the base's and the code of the image that came
    out follow at once, with what each change costs downstream. A circuit is walked along its edges, and run alone. The
    address of the page says all that is chosen, and "copy as Python" gives the call that computes what is shown, to the
    bit. Needs `pip install '.[explore]'` in the clone.

    Nothing is written, and nothing is asked of another machine.

    Args:
        lens: the lens on the model.
        ds: where base and source images come from, two or more.
        circuit: a circuit to walk, or the JSON file of one, or several.
        host: the address to listen at: this machine alone by default; "0.0.0.0" lets others in.
        port: to listen at; by default the first free one from 7860 on.
        block: whether to serve until Ctrl-C; else the explorer is served until it is closed.
        origin: how lens and dataset come about, for the copied code.

    Returns:
        The explorer, with its `url`; closed already where it blocked.

    Raises:
        VaelensError: no lens or dataset, images that do not fit the model, a circuit of another model, a port that is
            taken, or Gradio is missing.
    """
    if not isinstance(lens, Lens):
        raise VaelensError(f"explore takes a Lens, got a {type(lens).__name__}; wrap the model with vl.Lens(model)")
    if not isinstance(ds, FactorDataset):
        raise VaelensError(
            f"explore takes a dataset, got a {type(ds).__name__}; use vl.load_dataset(name) or vl.ArrayDataset(images)"
        )
    gradio()
    scene = Scene(lens, ds, walks_of(circuit))
    title = f"vaelens explore: {lens.describe()['model']} on {ds.name}"
    explorer = Explorer(Answers(scene, origin or Origin()), title, host, port)
    if block:
        print(f"explorer: {explorer.url}  (Ctrl-C ends it)", flush=True)
        explorer.wait()
    return explorer


def _launched(library: Any, answers: Answers, title: str, host: str, port: int) -> Any:
    def open(query: str) -> dict[str, Any]:
        return answers.open(query)

    def show(view: dict[str, Any]) -> dict[str, Any]:
        return answers.show(view)

    def units(view: dict[str, Any]) -> dict[str, Any]:
        return answers.units(view)

    def upload(picture: dict[str, Any]) -> dict[str, Any]:
        return answers.upload(picture)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the server's own dependencies
        with library.Blocks(title=title, analytics_enabled=False, fill_width=True) as blocks:
            library.HTML(
                html_template=_asset("explore.html"),
                js_on_load="\n".join(_asset(f"{name}.js") for name in _SCRIPTS),
                server_functions=[open, show, units, upload],
                apply_default_css=False,
            )
        blocks.launch(
            server_name=host,
            server_port=port,
            share=False,
            inline=False,
            inbrowser=False,
            quiet=True,
            prevent_thread_lock=True,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            num_workers=0,
            head=f"<style>{_asset('explore.css')}</style>",
            theme=library.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            app_kwargs={"middleware": [_middleware(host)], "docs_url": None, "redoc_url": None},
        )
    return blocks


def _in_a_loop(launch: Callable[[], Any]) -> Any:
    """Launches in an event loop of its own, since Gradio leaves open what it makes where there is none."""

    async def run() -> Any:
        return launch()

    with ThreadPoolExecutor(1) as worker:
        return worker.submit(lambda: asyncio.run(run())).result()


def _middleware(host: str) -> Any:
    from starlette.middleware import Middleware

    return Middleware(Guard, names=("localhost", "127.0.0.1", "[::1]") if host in _HERE else None)


def gradio() -> Any:
    """Imports Gradio, after it was told to say nothing to anybody.

    Raises:
        VaelensError: it is not installed.
    """
    os.environ.update(_SILENT | {"GRADIO_TEMP_DIR": _temporary_folder().name})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import gradio
    except ImportError as error:
        raise VaelensError(
            "the explorer needs Gradio, which is not installed: pip install '.[explore]' in the clone of vaelens"
        ) from error
    return gradio


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Makes the folder that Gradio asks for, which stays empty as uploads are refused, and is gone when Python ends."""
    folder = tempfile.TemporaryDirectory(prefix="vaelens-explore-")
    atexit.register(folder.cleanup)
    return folder


def _free_port(host: str, port: int | None) -> int:
    """Finds a port that can be listened at.

    Raises:
        VaelensError: the one asked for is taken or not allowed, or the host is none of this machine's addresses.
    """
    if port is not None and not 0 <= port <= 65535:
        raise VaelensError(f"port is {port}; expected a number from 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem = OSError("no port was tried")
    for candidate in range(_FIRST_PORT, _FIRST_PORT + _PORTS) if port is None else [port]:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
                return int(probe.getsockname()[1])
            except (OSError, UnicodeError) as error:
                problem = error
    where = f"{host}:{_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1}" if port is None else f"{host}:{port}"
    raise VaelensError(f"can't listen at {where} ({problem}); give another port (--port) or host (--host)")


def _asset(name: str) -> str:
    return (resources.files("vaelens.explorer") / "page" / name).read_text(encoding="utf-8")
