"""Where curves are written to."""
