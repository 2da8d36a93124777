"""A cluster as Helm reads it: an API server that only returns the objects it was given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import yaml

from charts.tests.rendering import Object

# The kinds that the charts look up: by group and version, kind -> plural.
KINDS = {
    "v1": {"Secret": "secrets", "ServiceAccount": "serviceaccounts", "PersistentVolumeClaim": "persistentvolumeclaims"}
}
VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}


def present(kind: str, name: str, namespace: str = "", *, version: str = "v1", **metadata: object) -> Object:
    """An object with metadata and the given fields."""
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **place, **metadata}}


def namespace(name: str) -> Object:
    """The object that shows that a namespace exists."""
    return present("ServiceAccount", "default", name)


@contextmanager
def serving(objects: Sequence[Object], folder: Path) -> Iterator[Path]:
    """An API server with these objects; yields the kubeconfig that leads to it."""
    answers = _answers(objects)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield _kubeconfig(folder / "kubeconfig", server.server_port)
        finally:
            server.shutdown()
            thread.join()


def _answers(objects: Sequence[Object]) -> dict[str, Object]:
    """The answer to each path: the version, which kinds there are, every object, and every list that has one."""
    answers: dict[str, Object] = {"/version": VERSION}
    for version, kinds in KINDS.items():
        resources = [
            {"name": plural, "kind": kind, "namespaced": True, "verbs": ["get", "list"]}
            for kind, plural in kinds.items()
        ]
        answers[_root(version)] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        for plural in kinds.values():
            answers[f"{_root(version)}/{plural}"] = _list(version)
    for item in objects:
        version, metadata = item["apiVersion"], item["metadata"]
        plural = KINDS[version][item["kind"]]
        place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        folder = f"{_root(version)}{place}/{plural}"
        answers[f"{folder}/{metadata['name']}"] = item
        for listed in {folder, f"{_root(version)}/{plural}"}:
            answers.setdefault(listed, _list(version))["items"].append(item)
    return answers


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _list(version: str) -> Object:
    return {"kind": "List", "apiVersion": version, "metadata": {}, "items": []}


def _kubeconfig(path: Path, port: int) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "anyone"}}],
        "users": [{"name": "anyone", "user": {}}],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(config))
    return path
