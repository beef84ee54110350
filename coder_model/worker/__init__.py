"""The process that holds the model, and the protocol that editor windows speak with it."""
