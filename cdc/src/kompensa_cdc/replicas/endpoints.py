"""The worker's HTTP endpoints: /healthz, /readyz, /metrics and /status. They show Progress and decide nothing."""

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kompensa_cdc.replicas.metrics import Metrics
from kompensa_cdc.replicas.progress import ReplicaProgress


def application(progress: ReplicaProgress, metrics: Metrics) -> web.Application:
    """Build the application. A live worker polls Kafka; a ready one keeps its copy up to date."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response(
            {"status": "alive" if progress.alive else "hung"}, status=200 if progress.alive else 503
        )

    async def readyz(_: web.Request) -> web.Response:
        if progress.ready:
            return web.json_response({"status": "ready"})
        problems = list(progress.problems.values()) or ["starting: not yet reading"]
        return web.json_response({"status": "not ready", "problems": problems}, status=503)

    async def status(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(progress.as_json()), content_type="application/json")

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/status", status),
            web.get("/metrics", scrape),
        ]
    )
    return app
