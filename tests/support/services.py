"""The services of the reference shop, from the list that the tools read, too."""

from __future__ import annotations

from pathlib import Path

SERVICES = tuple((Path(__file__).parents[2] / "services/shop.txt").read_text(encoding="utf-8").split())
