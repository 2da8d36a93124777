"""`python3 -m payments serve | migrate`."""

from payments.app import service

if __name__ == "__main__":
    service.main()
