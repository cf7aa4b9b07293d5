"""Sound on disk and in memory: files, rates, loudness, mixing, effects, chunks."""
