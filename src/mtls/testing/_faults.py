"""The catalogue: every fault, in the order of its groups."""

from __future__ import annotations

from typing import Final

from mtls.testing import _certificate_faults, _negotiation_faults, _wire_faults
from mtls.testing._catalogue import Faults

FAULTS: Final = Faults((*_certificate_faults.FAULTS, *_negotiation_faults.FAULTS, *_wire_faults.FAULTS))
"""Every fault of the catalogue."""
