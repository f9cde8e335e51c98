"""The site as a folder, and the server on it: whole, asking nobody else for anything, and refusing what cannot run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from demo_app.web.model import page_model
from demo_app.web.server import serving
from edge_deeplab import weights
from edge_deeplab.cli.main import run
from edge_deeplab.errors import PageError
from edge_deeplab.files import checksums, sha256
from edge_deeplab.runtime.tflite_session import TfliteSession

ENDINGS = {
    "model.tflite": "application/octet-stream",
    "page.js": "text/javascript",
    "compat_internal.wasm": "application/wasm",
}


def test_all_that_the_page_names_is_in_the_site(site: Path) -> None:
    named = set()
    for path in (*site.glob("*.js"), *site.glob("vendor/litert/*.js")):
        for name in re.findall(r'(?:^|\s)(?:import|export)\b[^;]*?from "([^"]+)"', path.read_text()):
            named.add((path.parent / name) if name.startswith(".") else name)
    page = (site / "index.html").read_text()
    mapped = {name: site / place for name, place in re.findall(r'"(@[^"]+)": "\./([^"]+)"', page)}
    found = {mapped.get(name, name) if isinstance(name, str) else name for name in named}
    found |= {site / name for name in re.findall(r'(?:href|src)="([^"]+)"', page)}
    assert len(found) > 15
    assert all(isinstance(path, Path) and path.is_file() for path in found), found


def test_the_page_names_no_other_site(site: Path) -> None:
    texts = [path.read_text() for path in site.iterdir() if path.suffix in {".js", ".html", ".css"}]
    assert not re.findall(r"(?:https?:)?//[\w-]+\.[\w.]+", "\n".join(texts))


def test_the_same_model_gives_the_same_bytes(site: Path, tmp_path: Path) -> None:
    assert run(["web", "--out", str(tmp_path / "again")]) == 0
    assert checksums(tmp_path / "again") == checksums(site)


def test_the_description_is_the_files_own(site: Path) -> None:
    described = json.loads((site / "model" / "model.json").read_text())
    model = site / "model" / described["file"]
    assert described["sha256"] == sha256(model) == sha256(weights.shipped_model())
    pixels = np.random.default_rng(5).integers(0, 256, (described["height"], described["width"], 3), dtype=np.uint8)
    with TfliteSession(model) as session:
        raw, probabilities = session.run_raw(pixels), session.run(pixels)
    assert raw.shape == (described["rows"], described["columns"], described["classes"])
    assert session.classes[described["person"]] == "person"
    np.testing.assert_allclose(
        (raw - np.float64(described["zero_point"])) * described["scale"], probabilities, atol=1e-6
    )


def test_it_is_served_isolated_to_this_machine_alone(site: Path) -> None:
    with serving(site, 0) as address:
        for path in (path for path in site.rglob("*") if path.name.endswith(tuple(ENDINGS))):
            with urllib.request.urlopen(address + path.relative_to(site).as_posix()) as response:
                assert response.read() == path.read_bytes()
                assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                (kind,) = [kind for ending, kind in ENDINGS.items() if path.name.endswith(ending)]
                assert response.headers.get_content_type() == kind
        port = int(address.rstrip("/").rpartition(":")[2])
        with pytest.raises(PageError, match=str(port)), serving(site, port):
            pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


def test_serve_goes_on_until_ctrl_c(node: str) -> None:
    words = [sys.executable, "-m", "edge_deeplab.cli.main", "web", "--serve", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[0]
            with urllib.request.urlopen(address) as response:
                assert b"<title>Portrait</title>" in response.read()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_model_that_the_page_cannot_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "site"
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(weights.shipped_model().read_bytes()[:5000])
    for model in (damaged, tmp_path / "missing.tflite", weights.shipped_checkpoint()):
        assert run(["web", "--model", str(model), "--out", str(out)]) == 1
        assert model.name in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.tflite"]


@pytest.mark.convert
def test_a_float_model_is_refused(small_float32_tflite: Path) -> None:
    from edge_deeplab.errors import ModelFileError

    with pytest.raises(ModelFileError, match=r"float32 values in .*--io uint8"):
        page_model(small_float32_tflite, "model.tflite")


def test_a_folder_that_is_there_is_left_alone(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert run(["web", "--out", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_npm_or_network_nothing_is_written(
    node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "site"
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_offline", "true")
    assert run(["web", "--out", str(out)]) == 1
    assert "needs the network the first time" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["web", "--out", str(out)]) == 1
    assert "install Node.js" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_it_wants_to_be_told_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["web"]) == 2
    assert "--out" in capsys.readouterr().err
