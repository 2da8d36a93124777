"""`python3 -m reactor serve | migrate`."""

from .service import service

service.main()
