"""Every chain is judged on the newest Python; the others, which have the same OpenSSL, try every third."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_EVERYTHING = sys.version_info >= (3, 13)
_STEP = 3
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _EVERYTHING:
        return
    ours = [item for item in items if _HERE in item.path.parents]
    left = set(ours) - set(ours[::_STEP])
    config.hook.pytest_deselected(items=[item for item in ours if item in left])
    items[:] = [item for item in items if item not in left]
