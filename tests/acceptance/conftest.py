from pathlib import Path

import pytest

from tests.acceptance.executable import Executable


@pytest.fixture
def rotator(tmp_path: Path) -> Executable:
    """The program, in an empty folder."""
    return Executable(tmp_path)
