"""Text in, text out: the masked-diffusion code model, its engine, and where and how much to fill.

Knows no editor and no protocol. `types`, `holes` and `syntax` import nothing slow, so the language server may use
them; everything else needs torch.
"""
