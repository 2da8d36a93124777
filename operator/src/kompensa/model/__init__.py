"""What a saga is, and what it does next. Pure: no clock, no I/O, no framework.

Read in this order:

- `definition` what was declared; `parsing` how it is read; `linter` what is refused and why;
- `saga` the state of one run; `events` what can happen to it; `commands` what it can ask for;
- `transition.advance` the one function that decides, split by direction into `forward` and `undo`;
- `durability` which of its decisions must be durable before they are acted on;
- `view` what people see of it.
"""
