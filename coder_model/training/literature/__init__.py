"""Every diffusion language model that the design documents name, each beside its paper, at one small size."""
