"""Models whose logs have the terms of their loss, and the numbers that callbacks set or training learns."""
