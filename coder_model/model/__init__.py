"""The transformer: its shape, its weights, a plain form to train and a fused one to serve."""
