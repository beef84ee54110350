"""`unmask http`: completions on loopback for editors that speak HTTP."""
