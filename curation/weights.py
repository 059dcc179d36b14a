"""Where weights lie and which ones they are: in a folder, in a package, or in the local cache of the hub.

Nothing is downloaded here. A revision is a hash of the bytes, or the commit of a hub repository.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
from pathlib import Path

from curation.errors import InputError


def is_path(name: str) -> bool:
    """Whether a model's name is a place on this machine, not a hub id."""
    return name.startswith(("/", "./", "../", "~"))


def located(name: str) -> str:
    """A model's name with its path made absolute, if it is one."""
    return os.path.abspath(os.path.expanduser(name)) if is_path(name) else name


def in_package(package: str, name: str) -> Path | None:
    """A file inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = (Path(folder) / name for folder in folders or ())
    return next((file for file in files if file.is_file()), None)


def package_version(distribution: str, holds: str, extra: str) -> str:
    """`<what it holds>, <distribution> <version>`. Raises InputError if it is not installed."""
    try:
        return f"{holds}, {distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"{holds} is in the package {distribution}, which is not installed",
            "filters",
            f"pip install 'omnivideo[{extra}]', or leave out the filters that need it",
        ) from error


def in_hub_cache(repository: str, name: str, revision: str | None = None) -> Path | None:
    """A file of a hub repository, if it has been downloaded; its parent folder is named after the commit."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def file_digest(path: Path) -> str:
    """`sha256:` and 12 hex digits over a file; computed again only when the file changes."""
    status = path.stat()
    return f"sha256:{_sha256(path, status.st_mtime_ns, status.st_size)[:12]}"


def folder_digest(folder: str | Path) -> str | None:
    """The same over all JSON, template and safetensors files by name; None if there is no folder."""
    root = Path(folder)
    if not root.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted([*root.glob("*.json"), *root.glob("*.jinja"), *root.glob("*.safetensors")]):
        status = path.stat()
        digest.update(f"{path.name}:{_sha256(path, status.st_mtime_ns, status.st_size)}\n".encode())
    return f"sha256:{digest.hexdigest()[:12]}"


@functools.cache
def _sha256(path: Path, changed_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
