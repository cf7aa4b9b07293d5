"""The source-filter decoder: a comb of harmonics and noise, filtered by what a small net makes of words and voice."""
