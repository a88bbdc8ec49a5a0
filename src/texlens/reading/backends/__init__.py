"""What runs a model.

In: framed pictures. Out: the tokens of the answers.

Read in this order: `base` (the interface, and which backend opens a model), `torch_backend`, then
`onnx_backend` with its graphs (`onnx_graphs`) and its image processor (`onnx_pictures`). `remote`
(with `remote_repair`) is apart: a reader that asks a server instead of running a model.
"""
