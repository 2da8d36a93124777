"""The five stages in their order."""

import time

from rich.console import Console

from kompensa_dev.demo.crash import engine_is_killed
from kompensa_dev.demo.ordering import order_succeeds
from kompensa_dev.demo.replication import customer_is_copied
from kompensa_dev.demo.scene import Scene
from kompensa_dev.demo.stage import Stage
from kompensa_dev.demo.summary import tell_what_there_is
from kompensa_dev.demo.target import Target
from kompensa_dev.demo.undoing import failures_are_undone

STAGES = (
    ("A customer is registered once and copied to where it is needed", customer_is_copied),
    ("An order succeeds", order_succeeds),
    ("Two orders fail half-way and are undone", failures_are_undone),
    ("The engine is killed in the middle", engine_is_killed),
    ("The state now", tell_what_there_is),
)


async def tell(target: Target, console: Console) -> None:
    """Run all stages.

    Raises
    ------
    CheckFailedError
        From the first stage that does not show what it promises.
    """
    started = time.monotonic()
    stage = Stage(target, Scene.new(), console)
    await stage.scene.set_up(target.shop)
    for number, (title, show) in enumerate(STAGES, start=1):
        with stage.part(number, title):
            await show(stage)
    console.print(f"\nAll five stages showed what they promise, in {time.monotonic() - started:.0f} s.", style="green")
