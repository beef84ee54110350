"""Training of low-rank adapters for published models."""
