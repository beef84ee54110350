"""What trainings for a published model share: the model cut to a corpus, holes in its tokens, a run by the clock."""
