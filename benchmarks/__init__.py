"""What things cost, measured on the machine at hand; `docs/performance.md` has what came of it."""
