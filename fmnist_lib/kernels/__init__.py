"""The layers of a training on a CPU: `fused` in PyTorch alone; the others are loops that it has no name for.

Those are compiled by numba on first use and kept on disk.

Arrays lie channels-last, [N, H, H, C]; values are fp32, or bf16 as the uint16 that holds its bits; arithmetic is fp32,
and sums over a batch are fp32 within an image and fp64 over images. Where a 2×2 window's maximum came from is a number
from 0 to 3 (ties go to the first, as in PyTorch), and 4 more where the activation was on its lower side.

What a loop looks like is what LLVM vectorises: the innermost runs over channels, small fixed ones are unrolled into it,
what meets in it are few flat arrays, and a select chooses between constants.
"""
