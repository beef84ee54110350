"""A request in, drafts out."""
