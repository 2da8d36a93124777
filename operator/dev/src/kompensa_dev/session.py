"""`kompensa dev` from start to Ctrl-C: the stack starts, the demo runs, files are watched, everything ends."""

import asyncio
import shutil
import signal
import threading
import time
from pathlib import Path
from types import FrameType

from rich.console import Console

from kompensa.client.engine_client import EngineClient
from kompensa.manifests.apply import ObjectRefusedError
from kompensa.manifests.documents import ManifestError
from kompensa_dev.checkout import checkout
from kompensa_dev.console import paper
from kompensa_dev.demo.checks import CheckFailedError
from kompensa_dev.demo.local import LocalTarget
from kompensa_dev.demo.shop_client import ShopClient
from kompensa_dev.demo.story import tell
from kompensa_dev.errors import DevError
from kompensa_dev.options import StackOptions
from kompensa_dev.process import kept_logs
from kompensa_dev.reload import Reload
from kompensa_dev.run import Run
from kompensa_dev.stack import MANIFESTS, Stack

POLL_SECONDS = 0.5


def run_session(options: StackOptions, *, demo: bool, stay: bool, watch: bool, keep: Path | None) -> None:
    """Bring the stack up, run the demo if asked, and stay until Ctrl-C if asked.

    Raises
    ------
    DevError, CheckFailedError
        When a part does not come up, or a stage of the demo does not show what it promises; the stack is then gone.
    """
    console = paper()
    signal.signal(signal.SIGTERM, _as_interrupt)
    started = time.monotonic()
    with Run.open(keep) as run:
        if run.ended_leftovers:
            console.print(f"ended what an earlier run had left: {', '.join(run.ended_leftovers)}")
        stack = Stack.start(run, options, lambda text: console.print(f"   {text}", style="dim", soft_wrap=True))
        try:
            _tell_where(console, stack, time.monotonic() - started)
            if demo:
                asyncio.run(_demo(stack, console))
            if stay:
                _stay(console, stack, Reload([checkout() / MANIFESTS, *options.files]) if watch else None)
        except KeyboardInterrupt:
            console.print("\nstopping")
        except CheckFailedError:
            shutil.copytree(run.logs, kept_logs(), dirs_exist_ok=True)
            console.print(f"\nThe logs of this run: {kept_logs()}")
            raise
        finally:
            stack.stop()


async def _demo(stack: Stack, console: Console) -> None:
    async with (
        ShopClient.connect(stack.ports.urls, stack.callers.of_caller("backoffice")) as shop,
        EngineClient.connect(stack.ports.api_url, None) as engine,
    ):
        await tell(LocalTarget(stack, shop, engine), console)


def _tell_where(console: Console, stack: Stack, seconds: float) -> None:
    console.print(f"\nEverything is up after {seconds:.1f} s.", style="bold")
    for name, (wanted, port) in stack.moved_ports.items():
        console.print(f"port {wanted} is taken: {name} listens on {port} instead", style="yellow")
    lines = {
        "engine's API": f"{stack.ports.api_url}/docs",
        **{service: f"{url}/docs" for service, url in stack.ports.urls.items()},
        "PostgreSQL": stack.postgres.admin_url,
        **({"Kafka": stack.kafka.bootstrap} if stack.kafka else {}),
        **({"Kafka Connect": stack.connect.url} if stack.connect else {}),
        "tokens": f"{stack.callers.folder}/SERVICE/backoffice",
        "logs": str(stack.run.logs),
    }
    for name, place in lines.items():
        console.print(f"   {name:<14} {place}", soft_wrap=True)


def _stay(console: Console, stack: Stack, reload: Reload | None) -> None:
    console.print("\nUp until Ctrl-C.", style="bold")
    over = threading.Event()
    while not over.wait(POLL_SECONDS):
        changed = reload.changed() if reload else []
        if changed:
            try:
                stack.apply(changed)
            except (DevError, ManifestError, ObjectRefusedError) as error:
                console.print(str(error), style="red", soft_wrap=True)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
