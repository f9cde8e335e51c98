"""Make the picture of the web page: python docs/picture_of_web_page.py [--chromium PROGRAM]

docs/web.png: what ``edge-deeplab web`` shows first, with before and after side by side, as Chromium draws it. Node.js,
npm and Chromium must be installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from demo_app.web.server import serving
from demo_app.web.site import write_site
from demo_app.web.vendoring import install
from edge_deeplab.image import read_rgb, write_image
from edge_deeplab.weights import shipped_model

HERE = Path(__file__).resolve().parent
DRIVER = HERE.parent / "benchmarks" / "web"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chromium", default="chromium", help="the browser's program")
    asked = parser.parse_args()
    chromium = shutil.which(asked.chromium)
    if chromium is None:
        parser.error(f"{asked.chromium} is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        write_site(shipped_model(), place / "site")
        driver = shutil.copytree(DRIVER, place / "driver")
        install(driver)
        picture = place / "web.png"
        with serving(place / "site", 0) as address:
            words = {"chromium": chromium, "address": address, "picture": str(picture)}
            subprocess.run(["node", "picture.mjs", json.dumps(words)], cwd=driver, check=True, timeout=120)
        write_image(HERE / "web.png", read_rgb(picture))


if __name__ == "__main__":
    main()
