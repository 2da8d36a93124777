"""`python3 -m kompensa_cdc`, the same as the command `kompensa-cdc`."""

from kompensa_cdc.main import app

app()
