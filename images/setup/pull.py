"""Published images: already there, pulled, or not available. The latter is not a failure if we can build our own."""

import time

from images.setup.engine import Engine
from images.setup.stages import Report


def pulled(engine: Engine, image: str, report: Report, *, stage: str, seconds: float, instead: str) -> bool:
    """Whether the engine has the image or could pull it within `seconds`; `instead` says what is done otherwise."""
    if engine.has_image(image):
        return True
    with report.stage(stage) as pulling:
        started = time.monotonic()
        if engine.ask("pull", "--quiet", image, timeout=seconds) is not None:
            return True
        pulling.note = f"not available ({time.monotonic() - started:.0f} s): {instead}"
    return False
