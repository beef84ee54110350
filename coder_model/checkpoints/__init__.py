"""Published weights: which families there are, how theirs become ours, where they come from. No code of theirs runs."""
