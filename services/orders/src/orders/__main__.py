"""`python3 -m orders serve | migrate`."""

from orders.app import service

if __name__ == "__main__":
    service.main()
