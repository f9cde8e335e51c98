"""A checkpoint to Core ML packages, in a process of its own: ``python -m converters.coreml_worker JOB``

JOB is a JSON file: {"checkpoint": path, "ranges": path or null, "packages": [{"path": ..., "precision": ...,
"deployment_target": ..., "io": ...}, ...]}. coremltools is loaded nowhere else: it takes seconds to import, draws
progress bars, and warns about every other package's version.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from converters.coreml_package import save_package
from converters.coreml_recipe import DeploymentTarget, Recipe
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.ranges import load_ranges
from edge_deeplab.spec import IoType, Precision


def main() -> None:
    """Read the job and write the packages."""
    # coremltools imports TensorFlow wherever it is installed, for a quarter of a minute, and nothing here needs it.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    from converters.coreml_program import convert_network

    job = json.loads(Path(sys.argv[1]).read_text())
    network, loaded = load_network(Path(job["checkpoint"]))
    graph = quantization_graph(network, loaded.spec.network.num_classes)
    ranges = None if job["ranges"] is None else load_ranges(Path(job["ranges"]))
    for entry in job["packages"]:
        recipe = Recipe(
            Precision(entry["precision"]), DeploymentTarget(entry["deployment_target"]), IoType(entry["io"])
        )
        used = ranges if recipe.precision is Precision.W8A8 else None
        model = convert_network(graph, loaded.spec, recipe, used)
        save_package(model, Path(entry["path"]), loaded.spec, recipe)


if __name__ == "__main__":
    main()
