"""The engine: carries out what `model.advance` decides, durably, under a lease.

A saga's way, from the API's start to its end. Each arrow is a call downwards; what comes back (a reply, a due timer, a
written status) is the next item in the saga's inbox:

    SagaService.start                   service.py    checks the request; `born` (start.py) makes the saga
      └ Tenure.accept                   tenure.py     all that lives as long as one lease
          └ Runner.accept               runner.py     takes items from a saga's inbox, acts on what was decided
              ├ SagaTable               saga_table.py     which sagas are in memory
              ├ Driver.accept, .take    driver.py         decides (RunningSaga.advance), writes if it must
              │   └ GroupCommit.submit  journal           makes the decision durable
              ├ Calls.make              calls.py          a command becomes a call, its reply an event
              ├ Reporter.report_end     reporter.py       the status of its Saga object
              └ Timers.set              timers.py         retries and deadlines

What else reaches a running saga, and by which way:

    Recovery.load                       recovery.py   rows of the journal, after a start or a hand-over
    SignalPump.once                     signals.py    requests to cancel, suspend, resume

`HeldLease` (held_lease.py) says which shards are ours and whether the engine may act now; calls and statuses wait for
its permission. `engine` is the life of the process: join, renew, lose, join again, leave. `declarations` has
participants and definitions in memory, and `saga_rows` the text of a saga in its row.
"""
