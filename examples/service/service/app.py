"""The application. Rule: each route says who may use it; nothing else here knows that there is TLS."""

from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel, PositiveInt

import mtls
from mtls.integrations.starlette import require_peer

BILLING = mtls.PeerPolicy.dns("billing.example")
REPORTS = mtls.PeerPolicy.dns("reports.example")

Caller = Annotated[mtls.PeerIdentity, Depends(require_peer())]
Writer = Annotated[mtls.PeerIdentity, Depends(require_peer(BILLING))]
only_readers = Depends(require_peer(mtls.PeerPolicy.any_of(BILLING, REPORTS)))


class Order(BaseModel):
    """What a client sends."""

    customer: str
    cents: PositiveInt


class Invoice(Order):
    """What the ledger makes of it."""

    number: int
    issued_by: str


app = FastAPI(title="Ledger")
ledger: list[Invoice] = []


@app.get("/health")
async def health() -> dict[str, str]:
    """Whether the service is up: for whoever got a connection, so monitoring needs a certificate as well."""
    return {"status": "ok"}


@app.get("/whoami")
async def whoami(caller: Caller) -> dict[str, str | tuple[str, ...]]:
    """The names in the verified certificate of the caller, and its last day."""
    return {"names": caller.dns_names, "until": f"{caller.certificate.not_valid_after_utc:%Y-%m-%d}"}


@app.get("/invoices", dependencies=[only_readers])
async def invoices() -> list[Invoice]:
    """All invoices."""
    return ledger


@app.post("/invoices", status_code=201)
async def issue(order: Order, caller: Writer) -> Invoice:
    """A new invoice, which remembers who issued it."""
    invoice = Invoice(number=len(ledger) + 1, issued_by=", ".join(caller.dns_names), **order.model_dump())
    ledger.append(invoice)
    return invoice
