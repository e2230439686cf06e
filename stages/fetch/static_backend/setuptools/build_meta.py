"""A PEP 517 build backend that answers pip's question for metadata from PKG-INFO and runs nothing of the package.

pip calls it in the unpacked source distribution; the PKG-INFO file there names the package and its version.
"""

import sys
from email.parser import HeaderParser
from pathlib import Path


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: dict | None = None) -> str:
    """Write a .dist-info folder with name and version into `metadata_directory` and return its name."""
    with open("PKG-INFO", encoding="utf-8") as file:
        headers = HeaderParser().parse(file)
    name, version = headers["Name"], headers["Version"]
    folder = Path(metadata_directory) / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")
    return folder.name


# pip names this object where a package has a setup.py and no pyproject.toml
__legacy__ = sys.modules[__name__]
