"""Forward passes over a document's tokens: one sequence each, batched where a device is shared."""
