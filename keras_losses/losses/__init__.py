"""The losses, a file for each family."""
