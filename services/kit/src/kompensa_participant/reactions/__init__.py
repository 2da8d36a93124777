"""Reactions: a service's handlers of other services' events, each run once per event.

    reactions = Reactions()

    @reactions.on("inventory.stock-reserved")
    async def request_payment(tx, event):
        reserved = event.read(StockReserved)
        ...                                  # change tables, and publish() events, in this one transaction

    service = Service(name="payments", title="Payments", reactions=reactions)

A handler's change, its events in the outbox, the event's row in the `inbox` and the offset are one transaction. An
event whose handler fails is retried with growing pauses, and then parked, while other keys go on (see handling.py).
"""

from kompensa_participant.reactions.declaration import REACTION_ROUTES, Handler, Reaction, Reactions
from kompensa_participant.reactions.event import ReceivedEvent, UnfitEventError
from kompensa_participant.reactions.steps import act, undo

__all__ = ["REACTION_ROUTES", "Handler", "Reaction", "Reactions", "ReceivedEvent", "UnfitEventError", "act", "undo"]
