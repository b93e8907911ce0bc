"""Mutual TLS whose failures name the handshake step, the side that refused, the reason and the remedy."""
