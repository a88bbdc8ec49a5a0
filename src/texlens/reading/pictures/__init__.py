"""Pictures: opened safely, brought to the form of the training data, compared with a rendering.

In: a file or its bytes. Out: an RGB image (`opening`), then dark ink on white in the model's size
and margins (`framing`, which needs `type_size`). `render_similarity` compares a picture with the
rendering of a formula.
"""
