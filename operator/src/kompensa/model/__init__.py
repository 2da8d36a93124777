"""The rules of a saga, as plain functions on plain data: no clock, no I/O, no framework.

One function decides everything: `transition.advance(definition, saga, event, now)`. It takes the state of a saga and
an event, for example a participant's reply. It returns the next state and commands, for example "call step 2". The
engine carries the commands out, and their results come back as events.

Begin with this loop, in this order:

1. `definition`: the steps of a saga, and how each of them is called and retried.
2. `saga`: the state of one saga and of its steps.
3. `outcomes`: success, failure, and the case that makes sagas difficult: unknown.
4. `events` and `commands`: the input and the output of `advance`.
5. `transition`: finds the rule for an event.
6. `forward` and `undo`: the rules for making effects and for undoing them. They write the next state into a `draft`.

Then read as you need:

- From YAML to a definition: `specs` (the fields), `linter` and `template_linter` (the checks), `parsing` (decoding and
  compiling), `order` (which step waits for which), `revision` (the hash that names a version of a definition).
- From a command to a request: `requests`, `expressions` (`${...}`), `scope` (the values that `${...}` sees), `calls`
  and `http_call` (the ways of calling a participant), `policies` (how long to wait between attempts).
- Limits of values: `schema` (a saga's input), `bounds`, `encoding`.
- Writing to the journal before acting: `durability`.
- The saga as users see it: `view`.
"""
