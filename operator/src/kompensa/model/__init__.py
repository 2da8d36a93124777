"""What a saga is, and what it does next. Pure: no clock, no I/O, no framework.

Read in this order:

- `specs` what users write; `parsing` how it is read; `linter` what is refused and why; `definition` what it becomes;
- `expressions` and `scope` what `${...}` means and sees; `requests` the call that comes out;
- `saga` the state of one run; `events` what can happen to it; `commands` what it can ask for;
- `transition.advance` the one function that decides, split by direction into `forward` and `undo`; `draft` is its pen;
- `durability` which of its decisions must be durable before they are acted on;
- `view` what people see of it.
"""
