"""One small module for each library where handing over a context is not enough.

Rule: importing one of them needs the library it is for, and nothing else; a missing one is a
:class:`~mtls.MissingExtraError` that names the extra.
"""
