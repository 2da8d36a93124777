"""docs/guides/write-a-participant.md, followed to the letter on the local stack."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from typer.testing import CliRunner

from kompensa.cli.main import app
from kompensa_dev.checkout import checkout
from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login
from kompensa_dev.process import Program
from kompensa_dev.stack import Stack
from tests.support.shop import Shop

GUIDE = checkout() / "docs/guides/write-a-participant.md"
# A file of the guide: its name in backticks at the beginning of a paragraph, then a block.
FILE = re.compile(r"^`([a-z_./0-9]+\.(?:py|yaml))`[^\n]*\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FAULT = re.compile(r"headers: (\{Kompensa-Fault: .*\})")
NO_CUSTOMER = "c0000000-0000-4000-8000-000000000001"
SECONDS = 30.0


@dataclass(frozen=True)
class Coupons:
    """The guide's service at work, the guide's files, and the command line."""

    stack: Stack
    folder: Path
    login: Login

    def kompensa(self, *arguments: str, status: int = 0) -> str:
        api = [] if arguments[0] == "lint" else ["--api", self.stack.ports.api_url]
        result = CliRunner().invoke(app, [*arguments, *api])
        assert result.exit_code == status, result.output
        return result.output

    def apply(self, *files: str) -> str:
        return self.kompensa("apply", *(str(self.folder / file) for file in files))

    def purchase(self, name: str, customer: str = NO_CUSTOMER) -> dict[str, Any]:
        """Apply purchase.yaml under this name; how it ended. A customer of `customer_with_money` pays with pm-abc."""
        has_money = customer != NO_CUSTOMER
        text = (self.folder / "purchase.yaml").read_text().replace(NO_CUSTOMER, customer)
        named = text.replace("name: purchase,", f"name: {name},")
        (self.folder / f"{name}.yaml").write_text(named.replace("pm-unknown", "pm-abc") if has_money else named)
        self.apply(f"{name}.yaml")
        self.kompensa("sagas", "watch", name, "-n", "shop", status=0 if has_money else 1)
        found: dict[str, Any] = yaml.safe_load(self.kompensa("sagas", "get", name, "-n", "shop", "-o", "yaml"))
        return found

    @property
    def uses_left(self) -> int:
        with psycopg.connect(self.login.url) as connection:
            (row,) = connection.execute("SELECT uses_left FROM coupons.coupons WHERE code = 'WELCOME'").fetchall()
        return int(row[0])


@pytest.fixture(scope="module")
def coupons(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coupons]:
    """Sections 1 and 2, on a free port, with the fault switch of section 4 on."""
    folder, port = tmp_path_factory.mktemp("guide"), Ports().take("coupons")
    files = dict(FILE.findall(GUIDE.read_text(encoding="utf-8")))
    assert len(files) == 5
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("127.0.0.1:8099", f"{HOST}:{port}"), encoding="utf-8")
    login = stack.postgres.create_database("coupons")
    environment = {
        "DATABASE_URL": login.url,
        "HOST": HOST,
        "PORT": str(port),
        "PYTHONPATH": str(folder),
        "FAULTS_ENABLED": "true",
    }
    migrate, serve = (
        Program(name=f"coupons-{verb}", argv=[sys.executable, "-m", "coupons", verb], environment=environment)
        for verb in ("migrate", "serve")
    )
    stack.run.run_to_end(migrate, timeout=SECONDS)
    process = stack.run.start(serve)
    process.wait_ready(lambda: answers_ok(f"http://{HOST}:{port}/readyz"), what="/readyz", timeout=SECONDS)
    yield Coupons(stack, folder, login)
    process.stop()


def test_the_definition_passes_its_check_and_is_taken(coupons: Coupons) -> None:
    checked = coupons.kompensa("lint", str(coupons.folder / "coupons.yaml"), str(checkout() / "manifests/shop"))
    assert "0 findings" in checked
    assert "buy-with-coupon revision" in coupons.apply("coupons.yaml")


def test_a_declined_payment_gives_the_coupon_back(coupons: Coupons) -> None:
    coupons.apply("coupons.yaml")
    before = coupons.uses_left
    saga = coupons.purchase("purchase")
    assert (saga["phase"], saga["reason"]) == ("Compensated", "PaymentDeclined")
    assert [step["state"] for step in saga["steps"]] == ["Undone", "Failed"]
    assert coupons.uses_left == before


def test_a_payment_uses_the_coupon_and_shows_the_result(coupons: Coupons) -> None:
    coupons.apply("coupons.yaml")
    before = coupons.uses_left
    saga = coupons.purchase("paid", customer_with_money(coupons))
    assert (saga["phase"], saga["result"]) == ("Succeeded", {"percent": 10})
    assert coupons.uses_left == before - 1


def test_a_lost_reply_costs_one_use_and_not_two(coupons: Coupons) -> None:
    (fault,) = FAULT.findall(GUIDE.read_text(encoding="utf-8"))
    documents = list(yaml.safe_load_all((coupons.folder / "coupons.yaml").read_text()))
    documents[1]["spec"]["steps"][0]["action"]["http"]["headers"] = yaml.safe_load(fault)
    (coupons.folder / "faulty.yaml").write_text(yaml.safe_dump_all(documents))
    coupons.apply("faulty.yaml")
    before = coupons.uses_left
    saga = coupons.purchase("lossy", customer_with_money(coupons))
    assert saga["phase"] == "Succeeded"
    assert saga["steps"][0]["attempts"] == 2
    assert coupons.uses_left == before - 1


def customer_with_money(coupons: Coupons) -> str:
    """The guide's two calls of curl. Returns the customer's id."""
    shop = Shop(coupons.stack.ports.urls, coupons.stack.callers.of_caller("backoffice").get)
    shop.call("payments", "PUT", "/payment-methods/pm-abc", {"balance": "1000.00"}).ok()
    customer: str = shop.customer(payment_method="pm-abc")["id"]
    return customer
