from tests.runtime.conftest import _plain_logs

__all__ = ["_plain_logs"]
