"""The compiled ops' schemas, in one place.

`build.py` compiles the kernels in `csrc/`; each op's module tells PyTorch the shape of its result
(for torch.compile and torch.export) and its derivatives. Sizes come as (vertical, horizontal),
padding as (top, bottom, left, right).
"""

import torch

SCHEMAS = (
    "upfirdn2d(Tensor x, Tensor f, int[2] up, int[2] down, SymInt[4] padding, bool flip,"
    " float gain) -> Tensor",
    "bias_act(Tensor x, Tensor? b, str act, float alpha, float gain, float? clamp) -> Tensor",
    "bias_act_backward(Tensor dy, Tensor saved, Tensor? b, str act, float alpha, float gain,"
    " float? clamp) -> (Tensor, Tensor)",
    "epilogue(Tensor x, Tensor? f, SymInt[4] padding, float fir_gain, Tensor? noise,"
    " Tensor? strength, Tensor? b, str act, float alpha, float gain, float? clamp) -> Tensor",
    "conv2d(Tensor x, Tensor w, int stride, int padding) -> Tensor",
    "conv2d_input(Tensor y, Tensor w, int stride, int padding, SymInt[2] size) -> Tensor",
    "conv2d_weight(Tensor x, Tensor y, int stride, int padding, int kernel) -> Tensor",
)

LIBRARY = torch.library.Library("gan_versus", "DEF")
for schema in SCHEMAS:
    LIBRARY.define(schema, tags=torch.Tag.pt2_compliant_tag)

ops = torch.ops.gan_versus
