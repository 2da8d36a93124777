"""The tools of a stage: the target, the scene, and a console to report on."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kompensa.model.saga import RESTING
from kompensa_dev.demo.checks import wait_for
from kompensa_dev.demo.scene import Scene
from kompensa_dev.demo.target import Target, View

END_SECONDS = 60.0


@dataclass
class Stage:
    """Shared by the five stages; `customers` remembers those of stage one by name."""

    target: Target
    scene: Scene
    console: Console
    customers: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def part(self, number: int, title: str) -> Iterator[None]:
        """A headline before, the duration after."""
        self.console.print(Text(f"\n{number}  {title}", style="bold"))
        started = time.monotonic()
        yield
        self.console.print(Text(f"   {time.monotonic() - started:.1f} s", style="dim"))

    def say(self, text: str) -> None:
        self.console.print(f"   {text}", highlight=False, soft_wrap=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in header:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(Padding(table, (0, 0, 0, 3)))

    async def ended(self, name: str) -> View:
        """Wait until the user sees that the saga has ended; return what they see."""

        async def ended() -> View | None:
            view = await self.target.saga_view(name)
            return view if view.get("phase") in RESTING else None

        return await wait_for(ended, what=f"saga {name} ended", timeout=END_SECONDS)
