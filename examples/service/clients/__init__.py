"""Clients of the ledger: the same conversation with requests and with httpx."""
