"""`python3 -m shipping serve | migrate`."""

from shipping.app import service

if __name__ == "__main__":
    service.main()
