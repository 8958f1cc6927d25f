"""Every data set as one device-resident tensor, and the plane's mixtures.

``load`` gives :class:`~bridgekit.data.images.Images`, ``mixture`` a ``Mixture`` of
:mod:`bridgekit.theory.densities`.
"""

LOADERS = ("SPLITS", "Images", "data_root", "download", "identity", "load", "mixture", "one_shape", "present")


def __getattr__(name: str):
    """The loaders, from ``images``. Who only lists what lies in folders must not have to wait for torch."""
    if name not in LOADERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import bridgekit.data.images as images

    return getattr(images, name)
