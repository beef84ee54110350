"""From the text around the cursor to tokens."""
