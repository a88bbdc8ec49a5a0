"""Names for torchvision's operators, for a torchvision whose compiled part does not load.

Runs at every start of the interpreter, from a `.pth` file, and acts when torchvision is imported.
"""

import sys
from importlib.abc import MetaPathFinder


class _Declare(MetaPathFinder):
    """Declares the operators before torchvision is found by the usual finders."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            boxes = "(Tensor boxes, Tensor scores, float threshold) -> Tensor"
            self.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                self.library.define(f"{operator}{boxes}")
            globals()["kept"] = self  # the operators live as long as the library
        return None


sys.meta_path.insert(0, _Declare())
