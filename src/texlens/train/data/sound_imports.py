"""Importing this makes transformers do without a torchvision that cannot be imported.

For processes that begin with imports: there is no other place for the call.
"""

from texlens.imports import leave_out_broken_torchvision

leave_out_broken_torchvision()
