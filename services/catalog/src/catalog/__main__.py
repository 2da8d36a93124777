"""`python3 -m catalog serve | migrate`."""

from catalog.app import service

if __name__ == "__main__":
    service.main()
