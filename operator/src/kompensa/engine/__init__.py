"""The engine: carries out what `model.advance` decides, durably, under a lease.

A saga's way, from the API's start to its end. Each part calls those below it:

- `SagaService.start` (service.py) checks the request, and `born` (start.py) makes the saga.
- `Tenure.accept` (tenure.py) holds all that lives as long as one lease.
- `Runner.accept` (runner.py) takes items from the saga's inbox and acts on the decisions.
- `Driver.accept` and `Driver.take` (driver.py) decide by the model, and write through the group commit.
- `Calls.make` (calls.py) makes a command a call, and its reply an event.
- `Reporter.report_end` (reporter.py) has the status of the Saga object written.
- `Timers.set` (timers.py) keeps retries and deadlines.

A reply, a due timer and a written status come back as the next item in the saga's inbox. Two more ways lead there:
`Recovery.load` (recovery.py) from the journal's rows, and `SignalPump.once` (signals.py) from requests to cancel,
suspend or resume. `SagaTable` (saga_table.py) knows which sagas are in memory.

`HeldLease` (held_lease.py) says which shards are ours and whether the engine may act now; calls and statuses wait for
its permission. `engine` is the life of the process: join, renew, lose, join again, leave. `declarations` has
participants and definitions in memory, and `saga_rows` the text of a saga in its row.
"""
