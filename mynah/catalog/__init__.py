"""Published weights: where they lie, that they are what they claim to be, and how foreign ones are read safely."""
