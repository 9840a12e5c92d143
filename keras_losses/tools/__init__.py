"""Tools for readers and maintainers of the library: the catalogue of its losses."""
