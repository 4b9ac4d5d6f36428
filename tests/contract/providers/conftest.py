from tests.contract.providers.test_lab import elsewhere

__all__ = ["elsewhere"]
