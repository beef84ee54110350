"""Tensor operations that know no model: plain ones, Triton kernels for GPUs, and machine code for CPUs."""
