"""Events from Kafka into PostgreSQL: one loop, shared by the replica workers and by the kit's reactions.

`ConsumerLoop` claims partitions in the database, reads them in batches, and hands each batch to a writer whose
transaction also moves the offsets. So an event counts once, whatever is killed, and a worker that has lost a partition
cannot write any more. The writer decides what a batch means:
see kompensa_cdc.replicas and kompensa_participant.reactions.
"""

from kompensa_consumer.batch import Batch
from kompensa_consumer.broker import BrokerError, Subscription
from kompensa_consumer.connection import RetryingConnection
from kompensa_consumer.decode import decode, poisoned, unexpected, version_in
from kompensa_consumer.event import Event, Headers, Poison, PoisonError
from kompensa_consumer.loop import ConsumerLoop, ConsumerSession
from kompensa_consumer.offsets import Advance, Claim, FencedError, OffsetTable, Partition, SessionError
from kompensa_consumer.progress import Progress
from kompensa_consumer.record import Record, StoredRecord, time_of
from kompensa_consumer.writer import RetryingWriter, Writer

__all__ = [
    "Advance",
    "Batch",
    "BrokerError",
    "Claim",
    "ConsumerLoop",
    "ConsumerSession",
    "Event",
    "FencedError",
    "Headers",
    "OffsetTable",
    "Partition",
    "Poison",
    "PoisonError",
    "Progress",
    "Record",
    "RetryingConnection",
    "RetryingWriter",
    "SessionError",
    "StoredRecord",
    "Subscription",
    "Writer",
    "decode",
    "poisoned",
    "time_of",
    "unexpected",
    "version_in",
]
