"""One laboratory a worker: the certificates are made and every peer is started once, all at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.matrix.cells import PEERS
from tests.matrix.lab import Lab
from tests.matrix.pki import Pki

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("matrix")
    running = Lab(folder, Pki(folder))
    try:
        with ThreadPoolExecutor(len(PEERS)) as pool:
            list(pool.map(running.start, PEERS))
        yield running
    finally:
        running.stop()
