"""All kernels, as `ops.py` calls them."""

from coder_kernels.gpu.attention import block_attention
from coder_kernels.gpu.head_select import head_select
from coder_kernels.gpu.matmul import linear, swiglu
from coder_kernels.gpu.norm import add_rms_norm, quantise_rows
from coder_kernels.gpu.rotary import rotate_and_write_
from coder_kernels.gpu.unmask import unmask_

__all__ = [
    "add_rms_norm",
    "block_attention",
    "head_select",
    "linear",
    "quantise_rows",
    "rotate_and_write_",
    "swiglu",
    "unmask_",
]
