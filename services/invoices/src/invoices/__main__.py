"""`python3 -m invoices serve | migrate`."""

from invoices.app import service

if __name__ == "__main__":
    service.main()
