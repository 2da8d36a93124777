"""`python3 -m ledger serve | migrate`."""

from .service import service

service.main()
