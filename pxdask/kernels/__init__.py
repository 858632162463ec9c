"""Pure array functions: physics on plain arrays, nothing read, nothing written."""
