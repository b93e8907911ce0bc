"""What is known beforehand. Pure: no I/O, no ``ssl``, and time is an argument."""
