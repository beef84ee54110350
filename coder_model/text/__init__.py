"""Rules on source text: what a hole is, where a completion ends, what must not be shown. No torch."""
