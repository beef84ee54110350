"""Learning: corpus, holes, noise, loss, optimizers, and the run that puts them together."""
