"""Runs a frozen graph, in a process of its own: ``python -m converters.frozen_graph_worker GRAPH FEED OUT TENSOR...``

GRAPH is a GraphDef; FEED is a .npz file with a value for each tensor that is fed, under its name; OUT becomes a .npz
file with the values of the tensors named. TensorFlow is loaded nowhere else, for the reasons that
:mod:`converters.tensorflow_worker` gives.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf


def main() -> None:
    """Read the arguments and write the values."""
    parser = argparse.ArgumentParser()
    parser.add_argument("graph", type=Path)
    parser.add_argument("feed", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("tensors", nargs="+")
    arguments = parser.parse_args()
    definition = tf.compat.v1.GraphDef.FromString(arguments.graph.read_bytes())
    with np.load(arguments.feed, allow_pickle=False) as file:
        feed = {name: file[name] for name in file.files}
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run(arguments.tensors, feed)
    np.savez(arguments.out, **dict(zip(arguments.tensors, values, strict=True)))


if __name__ == "__main__":
    main()
