"""The static site: page, runtime, model and a photo, all in one folder that any web server can serve."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from demo_app.web.model import page_model
from demo_app.web.vendoring import vendor
from edge_deeplab.files import new_folder, write_json

_MODEL = "model.tflite"


def write_site(model: Path, out: Path) -> None:
    """Write the site, whole or not at all; the same model gives the same bytes.

    Args:
        model: a .tflite file with uint8 in and out.
        out: the folder, which must not be there yet.

    Raises:
        ModelFileError: a model that the page cannot run.
        OutputError: ``out`` is there already, or the place cannot be written to.
        PageError: npm cannot fetch the runtime.
    """
    described = page_model(model, _MODEL)
    with new_folder(out) as folder:
        with resources.as_file(resources.files("demo_app.web") / "page") as page:
            for path in sorted(page.iterdir()):
                shutil.copyfile(path, folder / path.name)
        photo = resources.files("edge_deeplab") / "data" / "bundled" / "eileen_collins.jpg"
        (folder / "sample.jpg").write_bytes(photo.read_bytes())
        (folder / "model").mkdir()
        shutil.copyfile(model, folder / "model" / _MODEL)
        write_json(folder / "model" / "model.json", described.to_dict())
        vendor(folder / "vendor" / "litert")
