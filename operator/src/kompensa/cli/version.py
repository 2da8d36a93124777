"""`kompensa version`."""

import platform
from importlib.metadata import version as version_of

from kompensa.cli.output import Form, Output, print_as


def version(output: Output = Form.TABLE) -> None:
    """Print the version of this command.

    Example: kompensa version -o json
    """
    found = {"version": version_of("kompensa"), "python": platform.python_version()}
    print_as(output, found, found["version"])
