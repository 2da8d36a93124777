"""Reading a copy's topics again from their beginning: the way to fill a hole, and harmless otherwise.

The stored offsets go back under a new epoch, so a running worker is fenced off mid-batch and starts anew by itself.
The version guard drops everything the copy already has; parked events stay parked where they still do not fit.
"""

from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_cdc.replicas.target import connect


async def rewind(spec: ReplicaSpec, *, database_url: str) -> int:
    """Return the number of partitions that were set back; 0 if the replica has never run."""
    books = Bookkeeping(spec.target.schema_name, spec.replica)
    async with await connect(database_url) as connection:
        await books.create_tables(connection)
        return await books.rewind(connection)
