"""`python3 -m inventory serve | migrate`."""

from inventory.app import service

if __name__ == "__main__":
    service.main()
