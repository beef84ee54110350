"""`unmask play`: a page on loopback that shows how a hole is filled, pass by pass."""
