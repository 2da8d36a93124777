"""Stage 5: what there is now, and what to do with it."""

import asyncio

from kompensa_cdc.watch import topic_counts
from kompensa_dev.demo.stage import Stage

SHOWN_SAGAS = 12


async def tell_what_there_is(stage: Stage) -> None:
    """Tables of the sagas, the topics and the replicas; then the commands to go on with."""
    sagas = list(await stage.target.sagas())[:SHOWN_SAGAS]
    columns = ("name", "phase", "step", "progress", "reason")
    stage.table(("saga", *columns[1:]), [[str(saga.get(word) or "") for word in columns] for saga in sagas])
    topics = await asyncio.to_thread(topic_counts, stage.target.kafka)
    stage.console.print()
    stage.table(("topic", "records"), [[topic, str(count)] for topic, count in sorted(topics.items())])
    stage.console.print()
    stage.table(
        ("replica", "table", "applied", "lag", "parked"),
        [[r.name, r.target, str(r.applied), str(r.lag), str(r.parked)] for r in await stage.target.replicas()],
    )
    stage.console.print()
    for hint in stage.target.hints():
        stage.say(f"[bold]{hint.command}[/]  [dim]{hint.purpose}[/]")
