"""The page's JavaScript packages: fetched by npm as the lock file beside this says, and copied into the site."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from edge_deeplab.errors import PageError

_SECONDS = 600

# Where each file lies among npm's packages, and where the page looks for it. Of LiteRT.js's builds, a browser loads
# one: with threads, without, or without relaxed SIMD instructions.
_FILES = {
    "@litertjs/core/dist/index.js": "core.js",
    "@litertjs/core/package.json": "package.json",
    "@litertjs/wasm-utils/dist/index.js": "wasm-utils.js",
} | {
    f"@litertjs/core/wasm/litert_wasm{build}_internal.{ending}": f"wasm/litert_wasm{build}_internal.{ending}"
    for build in ("", "_threaded", "_compat")
    for ending in ("js", "wasm")
}


def vendor(folder: Path) -> None:
    """Copy LiteRT.js into a folder: ``core.js``, ``wasm-utils.js`` and ``wasm/``.

    npm checks every package against the lock file's hash, runs none of their scripts, and asks the network only for
    what its cache lacks.

    Raises:
        PageError: npm is not installed, fails or takes longer than ten minutes.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for name in ("package.json", "package-lock.json"):
            with resources.as_file(resources.files("demo_app.web") / "npm" / name) as path:
                shutil.copy(path, place)
        install(place)
        for source, name in _FILES.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / "node_modules" / source, target)


def install(place: Path) -> None:
    """Make ``node_modules`` in a folder with ``package.json`` and ``package-lock.json``: exactly what the lock says.

    Raises:
        PageError: as :func:`vendor`.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise PageError(
            "npm is not installed, which fetches the page's runtime (LiteRT.js): install Node.js 20 or newer"
        )
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        done = subprocess.run(
            words, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PageError(f"npm cannot fetch the page's runtime ({error}): is there a network?") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        reason = " ".join(line.removeprefix("npm error").strip() for line in lines[:2]) or f"status {done.returncode}"
        raise PageError(f"npm cannot fetch the page's runtime, which needs the network the first time: {reason}")
