"""Models that log the terms of their loss, and the numbers that callbacks set or that training learns."""
