"""Text: what is written down, and how it is laid out."""
