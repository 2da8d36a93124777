"""Shows object-born sagas on their objects, and remembers in the journal that the end was shown.

A saga that rests stays unsettled, and in memory, until the face has it: after a crash its new owner shows it again.
Views in between are handed over and forgotten; the face coalesces them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from kompensa.engine.face import Face
from kompensa.engine.live import Happening, Live, Shown, resting
from kompensa.engine.metrics import REPORTING

_log = structlog.get_logger(__name__)
_PAUSE = 5.0


class Reporter:
    """`permitted` returns while the lease surely holds, and raises once it is lost.

    `spawn` starts a task that ends with the lease; `tell` hands a happening to a saga.
    """

    def __init__(
        self,
        face: Face,
        *,
        permitted: Callable[[], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        tell: Callable[[Live, Happening], Awaitable[None]],
    ) -> None:
        self._face = face
        self._permitted = permitted
        self._spawn = spawn
        self._tell = tell

    def show(self, live: Live) -> None:
        """Show the newest state of a saga that has a face."""
        self._spawn(self._show_end(live) if resting(live.shown) else self._show_progress(live))

    async def _show_progress(self, live: Live) -> None:
        try:
            await self._face.publish(live.view(), live.generation, permitted=self._permitted)
        except Exception as error:
            _log.warning("a saga's progress was not shown", saga=live.saga.id, error=str(error))

    async def _show_end(self, live: Live) -> None:
        state = live.shown
        with REPORTING.track_inprogress():
            while live.shown is state:
                try:
                    await self._face.publish(live.view(), live.generation, permitted=self._permitted)
                except Exception as error:
                    _log.warning("a saga's end was not shown", saga=live.saga.id, error=str(error))
                    await asyncio.sleep(_PAUSE)
                else:
                    break
        await self._tell(live, Happening(Shown(state)))
