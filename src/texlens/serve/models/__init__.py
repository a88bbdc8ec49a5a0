"""What reads the pictures, and the queue before it.

In: pictures of many clients. Out: their readings. `base` defines a model of a server; `process` runs one in a
process of its own, `remote` uses one on another server. `queue` makes batches: `turns` decides whose picture
is next, `batch_times` how short a batch must be, and `suspects` which pictures must be read alone.
"""
