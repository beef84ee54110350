"""Machine code for a CPU, made when it is first asked for: what a pass over few tokens needs (`docs/kernels.md`)."""
