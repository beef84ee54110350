"""Which tokens fill a hole: drafts, their verification, diffusion, and when it is over."""
