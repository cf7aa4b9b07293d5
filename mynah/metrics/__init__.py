"""How good a result is: pitch, speaker, words, naturalness, speed."""
