"""A ledger of invoices that demands a certificate of every caller, and decides per route what it may do.

``app`` says who may do what, ``tls`` who we are and whom we believe, ``server`` puts the two behind a port. Neither
``development`` nor ``demo`` is imported by them: they are for your own machine only.
"""
