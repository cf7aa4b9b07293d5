"""The command line: a thin face over what can be imported. One file for each command."""
