"""``raises``: a block that has to fail with a TLS failure of this step, reason and side, in whatever wrapper.

Rule: an exception that has nothing to do with TLS passes as it is; a check of our own side is no refusal by a peer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, final

from mtls._handshake.explain import explain
from mtls._model import Omitted
from mtls.errors import HandshakeError
from mtls.testing._expected import compared, expected, unbroken

if TYPE_CHECKING:
    from types import TracebackType

    from mtls._model import FailureReason, HandshakeStep, Side
    from mtls.testing._expected import Expected


def raises(
    *,
    step: HandshakeStep | int | str | Omitted | None = Omitted.OMITTED,
    failure: FailureReason | str | Omitted = Omitted.OMITTED,
    side: Side | str | Omitted | None = Omitted.OMITTED,
) -> Raised:
    """A ``with`` block that must end in this handshake failure; ``as`` gives a :class:`Raised`. ::

        with mtls.testing.raises(step=6, failure="unknown_ca", side="peer"):
            httpx.get(server.url, verify=context)

    What is left out may have any value; ``step=None`` and ``side=None`` mean that nothing tells. ``side`` is told from
    the program that got the exception. Wrapped errors of HTTP libraries are looked through with :func:`mtls.explain`.

    Raises :class:`AssertionError` if nothing was raised or the failure is another one, with the step that broke and the
    one that should have; :class:`~mtls.UsageError` for a value that does not exist. An exception that is no handshake
    failure passes: what a profile's own check refuses was never shown to a peer.
    """
    __tracebackhide__ = True
    return Raised(expected(step, failure, side))


@final
class Raised:
    """What :func:`raises` caught: ``error``, the :class:`~mtls.HandshakeError`, and ``exception`` as it was raised."""

    __slots__ = ("_error", "_exception", "_expected")

    def __init__(self, wanted: Expected) -> None:
        self._expected = wanted
        self._error: HandshakeError | None = None
        self._exception: BaseException | None = None

    @property
    def error(self) -> HandshakeError:
        """The handshake failure. Raises :class:`AssertionError` before the block has ended."""
        assert self._error is not None, "nothing was raised yet: look at it after the with block"
        return self._error

    @property
    def exception(self) -> BaseException:
        """The exception as it was raised. Raises :class:`AssertionError` before the block has ended."""
        assert self._exception is not None, "nothing was raised yet: look at it after the with block"
        return self._exception

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        __tracebackhide__ = True
        if exception is None:
            raise AssertionError(unbroken(self._expected))
        if not isinstance(exception, Exception) or isinstance(exception, AssertionError):
            return False  # what a test asserts about an exception that it caught is no handshake failure
        found = explain(exception)
        if not isinstance(found, HandshakeError):
            exception.add_note(f"This is no handshake failure; expected: {self._expected}")
            return False
        if self._expected.differences(found):
            raise AssertionError(compared(self._expected, found)) from exception
        self._error, self._exception = found, exception
        return True

    def __repr__(self) -> str:
        state = "nothing yet" if self._error is None else repr(self._error)
        return f"<Raised: {state}, expected {self._expected}>"
