"""Scenes: what chains several verbs into one piece of work."""
