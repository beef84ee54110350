"""Triton kernels.

Each module has the kernels of one operation and the function that launches them, with the signature of its twin in
`reference.py`; the tiles come from `configs/`. They know no model.
"""
