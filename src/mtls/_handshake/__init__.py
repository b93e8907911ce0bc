"""What happens on the wire: contexts, hooks, and the diagnosis of a failure."""
