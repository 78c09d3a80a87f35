"""Which version of Darkroom this is."""

from importlib import metadata


def version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("darkroom")
    except metadata.PackageNotFoundError:
        return "not installed"
