"""Every error that edge-deeplab raises on purpose.

Each message says what is wrong, with which file or value, and what to do about it, in one
sentence or two: the command line prints it as it stands, without a traceback.
"""

from __future__ import annotations


class EdgeDeeplabError(Exception):
    """Base of all errors below: catch it to catch whatever this library refuses."""


class SpecError(EdgeDeeplabError, ValueError):
    """A setting that does not exist or does not fit the others (output stride 7, target "tflite-int4")."""


class ImageError(EdgeDeeplabError):
    """A picture that cannot be read, is truncated, or has an unusable size."""


class DatasetError(EdgeDeeplabError):
    """A data set with a missing mask, a size mismatch, an unknown layout, or nothing in it."""


class CheckpointError(EdgeDeeplabError):
    """A checkpoint that cannot be read, or does not belong to the network that is asked for."""


class ModelFileError(EdgeDeeplabError):
    """A model file (.onnx, .tflite, ...) that cannot be opened or breaks the contract of its format."""


class ClientError(EdgeDeeplabError):
    """A model file that an app's library (MediaPipe Tasks) would refuse, or would take wrongly without a word."""


class ConversionError(EdgeDeeplabError):
    """A converter that failed, or wrote something other than what it was given."""


class CalibrationError(EdgeDeeplabError):
    """Too few, unusable or constant calibration images."""


class RangesError(EdgeDeeplabError):
    """Quantization ranges that are missing, not finite, empty, or of another checkpoint."""


class ParityError(EdgeDeeplabError):
    """An artifact whose output differs from the reference by more than its tolerance."""


class SourceError(EdgeDeeplabError):
    """A camera or video that is missing, busy, or broken in the middle."""


class OutputError(EdgeDeeplabError):
    """A place that cannot be written to: read-only, full, or not a folder."""


class DisplayError(EdgeDeeplabError):
    """No screen to open a window on."""


class PageError(EdgeDeeplabError):
    """The web page's runtime that cannot be fetched, or a port that cannot be served."""


class ResourceError(EdgeDeeplabError):
    """Memory or a process that a run needs, and that the machine refused or took away."""


class MissingExtraError(EdgeDeeplabError, ImportError):
    """A package that belongs to an extra which is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"pip install 'edge-deeplab[{extra}]' -c constraints.txt"
        )
        self.package = package
        self.extra = extra
