"""Values and rules that every room uses: no I/O, no clock, no chance."""
