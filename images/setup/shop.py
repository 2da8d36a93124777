"""The services of the reference shop: services/shop.txt has their names, in the order of their published ports."""

from images.setup.versions import CHECKOUT

SERVICES = tuple((CHECKOUT / "services/shop.txt").read_text(encoding="utf-8").split())
