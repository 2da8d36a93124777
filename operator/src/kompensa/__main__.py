"""`python -m kompensa` is the command `kompensa`."""

from kompensa.cli.main import app

if __name__ == "__main__":
    app(prog_name="kompensa")
