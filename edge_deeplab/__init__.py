"""edge-deeplab: person segmentation from training to the device, with proof that nothing was lost."""

__version__ = "0.1.0"
