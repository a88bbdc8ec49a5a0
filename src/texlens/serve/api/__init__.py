"""The bodies of requests and responses, and what is done for each address.

In: the body of a request. Out: pictures to read, or the body of a response. `pictures` and `completions`
take pictures out of requests, `rendering` answers `/v1/render`, `pages` renders PDFs, and `schema` completes
the description.
"""
