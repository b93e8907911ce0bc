"""A whole handshake that we run ourselves: two profiles in memory, or one profile and a real server."""
