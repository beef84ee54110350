"""Tensor operations that know no model: each plain torch now, each the reference of a kernel later."""
