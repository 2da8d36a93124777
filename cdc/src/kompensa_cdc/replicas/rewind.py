"""Read a copy's topics again from their beginning: fills a gap in the copy, and is harmless otherwise.

The stored offsets are set back under a new epoch. This fences a running worker off in mid-batch; it starts a
new session by itself. The version guard skips everything that the copy already has; parked events that still do not fit
stay parked.
"""

from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_consumer.database import connect


async def rewind(spec: ReplicaSpec, *, database_url: str) -> int:
    """Set the offsets back; return the number of partitions, which is 0 if the replica has never run."""
    books = Bookkeeping(spec.target.schema_name, spec.replica)
    async with await connect(database_url) as connection:
        await books.create_tables(connection)
        return await books.offsets.rewind(connection)
