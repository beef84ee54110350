"""The commands of `unmask`. The server's own process imports only `cli`, and no torch."""
