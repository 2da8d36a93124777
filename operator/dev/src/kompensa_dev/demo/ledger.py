"""All that an order could change, read from the services that own it: stock, money, orders, invoices."""

from collections.abc import Sequence
from dataclasses import dataclass

from kompensa_dev.demo.scene import FUNDED, Scene
from kompensa_dev.demo.shop_client import ShopClient
from kompensa_dev.demo.target import View


@dataclass(frozen=True)
class Ledger:
    """Comparable lines, each a thing and its amount."""

    lines: tuple[tuple[str, str], ...]

    def differences(self, other: "Ledger") -> list[str]:
        """Return the differences from the other ledger, one sentence each."""
        mine = dict(self.lines)
        return [f"{name}: {mine[name]} then, {amount} now" for name, amount in other.lines if mine[name] != amount]


async def read_ledger(shop: ShopClient, scene: Scene, customers: Sequence[str]) -> Ledger:
    """Read it now; orders and invoices are those of these customers that stand."""
    lines: list[tuple[str, str]] = []
    for product in scene.products:
        stock = await shop.get("inventory", f"/stock/{product.id}") or {}
        lines += [(f"{product.name} {word}", str(stock.get(key))) for key, word in _STOCK]
    method = await shop.get("payments", f"/payment-methods/{FUNDED}") or {}
    lines.append((f"balance of {FUNDED}", str(method.get("balance"))))
    for service, filtered_by in (("orders", "customerId"), ("invoices", "ordersCustomerId")):
        pages = [await shop.get(service, f"/{service}?{filtered_by}={customer}") or {} for customer in customers]
        lines.append((f"{service} that stand", str(_standing(pages))))
    return Ledger(tuple(lines))


_STOCK = (("onHand", "on hand"), ("reserved", "reserved"), ("sold", "sold"))


def _standing(pages: Sequence[View]) -> int:
    return sum(item["status"] != "cancelled" for page in pages for item in page.get("items", []))
