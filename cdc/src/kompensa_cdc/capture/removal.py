"""Taking one outbox's capture down: connector, slot and publication, each whether or not the others could be."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from kompensa_cdc.capture import republish, source
from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.connector import database_of_connector
from kompensa_cdc.capture.errors import CaptureError
from kompensa_cdc.capture.outbox import Database, Outbox

Kind = Literal["connector", "slot", "publication"]


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something that could not be taken down, and why; `error` is None if no login for it is known any more."""

    kind: Kind
    name: str
    error: CaptureError | None


async def remove_outbox(
    outbox: Outbox, *, owner: Database | None, capture: Database | None, connect_url: str
) -> list[Leftover]:
    """Take down connector, slot and publication; the topics stay for their consumers.

    The connector goes first: one that still runs makes its slot again. When it cannot be removed the slot is dropped
    all the same, and calling again, once it can be, drops what was made meanwhile.

    Parameters
    ----------
    owner, capture
        The logins that publication and slot were made with; None where one is not known any more.

    Returns
    -------
    list of Leftover
        The things that are still there. Calling again goes on from there.
    """
    steps: tuple[tuple[Kind, str, Callable[[], Awaitable[None]] | None], ...] = (
        ("connector", outbox.connector, partial(_remove_connector, outbox, connect_url)),
        ("slot", outbox.slot, partial(source.drop_slot, capture, outbox) if capture else None),
        ("publication", outbox.publication, partial(source.drop_publication, owner, outbox) if owner else None),
    )
    left = []
    for kind, name, remove in steps:
        try:
            if remove is None:
                left.append(Leftover(kind=kind, name=name, error=None))
            else:
                await remove()
        except CaptureError as error:
            left.append(Leftover(kind=kind, name=name, error=error))
    return left


async def captured_database(outbox: Outbox, *, connect_url: str, login: tuple[str, str] | None) -> Database | None:
    """The database as the outbox's connector knows it, for when its Secret is gone; None if there is no connector.

    Parameters
    ----------
    login
        Username and password of the capture role; None takes those that the connector's configuration spells out.

    Raises
    ------
    ConnectError
        If Connect does not answer.
    """
    async with Connect(connect_url) as connect:
        config = await connect.config(outbox.connector)
    return None if config is None else database_of_connector(config, login)


async def _remove_connector(outbox: Outbox, connect_url: str) -> None:
    async with Connect(connect_url) as connect:
        await republish.remove(outbox, connect)
        if await connect.config(outbox.connector) is not None:
            await connect.stop(outbox.connector)
            await connect.forget_offsets(outbox.connector)
            await connect.delete(outbox.connector)
