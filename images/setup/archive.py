"""Writing an image archive (the docker-archive format that `ctr`, podman and docker all read) without an engine.

One layer, taken from a folder or an existing tar file. Good for images that are a static binary or a root file system;
everything with more than one layer goes through the engine.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True)
class ImageConfig:
    """The configuration of the container runtime, in addition to the files."""

    entrypoint: Sequence[str] = ()
    environment: Mapping[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )


def layer_of_files(target: Path, files: Mapping[str, Path]) -> None:
    """A layer with these executables: path inside the image -> file here. Owner and time are fixed."""
    with tarfile.open(target, "w") as tar:
        for name, source in files.items():
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size = source.stat().st_size
            entry.mode = 0o755
            with source.open("rb") as content:
                tar.addfile(entry, content)


def write_archive(target: Path, *, image: str, layer: Path, config: ImageConfig, architecture: str) -> None:
    """Wrap a layer tar file as the archive of `image` (name:tag)."""
    manifest_config = json.dumps(image_config(config, f"sha256:{_sha256(layer)}", architecture)).encode()
    config_name = f"{hashlib.sha256(manifest_config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as tar:
        _add(tar, config_name, manifest_config)
        tar.add(layer, arcname="layer.tar")
        _add(tar, "manifest.json", manifest)


def image_config(config: ImageConfig, diff_id: str, architecture: str) -> dict[str, object]:
    """The OCI image configuration document."""
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": list(config.entrypoint),
            "Env": [f"{name}={value}" for name, value in config.environment.items()],
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kompensa images"}],
    }


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(content))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
