"""The server: where it listens, what it refuses, and that it leaves nothing behind."""

import os
import socket
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

import vaelens as vl

pytest.importorskip("gradio", reason="the explorer is served by Gradio")


def test_it_listens_on_this_machine_alone_and_leaves_nothing(planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with vl.explore(planted.lens, planted.dataset, port=0, block=False) as explorer:
        assert explorer.url.startswith("http://127.0.0.1:")
        page = httpx.get(explorer.url)
        assert page.status_code == 200
        assert "vaelens explore: vae on planted-redundant" in page.text
        assert httpx.get(f"{explorer.url}?base=png:{'a' * 12_000}").status_code == 200, "the longest address"
        assert httpx.get(explorer.url, headers={"host": "example.org"}).status_code == 403
        assert httpx.get(f"{explorer.url}gradio_api/file=/etc/passwd").status_code == 404
        sent = {"files": ("a.png", b"x", "image/png")}
        assert httpx.post(f"{explorer.url}gradio_api/upload", files=sent).status_code == 404
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        assert [path for path in folder.rglob("*") if path.is_file()] == []
        port = int(explorer.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(vl.VaelensError, match=f"can't listen at 127.0.0.1:{port}"):
            vl.explore(planted.lens, planted.dataset, port=port, block=False)
        assert explorer.url in explorer._repr_html_()
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert list(tmp_path.iterdir()) == []
    assert repr(explorer).endswith("(closed)")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_wrong_arguments_are_refused(planted):
    with pytest.raises(vl.VaelensError, match="explore takes a Lens, got a PlantedVAE; wrap the model"):
        vl.explore(planted.model, planted.dataset)
    with pytest.raises(vl.VaelensError, match="explore takes a dataset, got a Tensor"):
        vl.explore(planted.lens, torch.zeros(3, 1, 16, 16))
    with pytest.raises(vl.VaelensError, match="port is 70000; expected a number from 0 to 65535"):
        vl.explore(planted.lens, planted.dataset, port=70000)
    with pytest.raises(vl.VaelensError, match=r"can't listen at 203\.0\.113\.7:7860 to 7959"):
        vl.explore(planted.lens, planted.dataset, host="203.0.113.7")
    with pytest.raises(vl.VaelensError, match="circuit is a int"):
        vl.explore(planted.lens, planted.dataset, [np.int64(3).item()])
